"""What pipelines of tests share: a decoder of eight dimensions, and training that takes seconds."""

from __future__ import annotations

SIZES = "d_model = 8\nn_layers = 1\nd_state = 4\nheaddim = 8\n"
"""Of a student or a teacher, as lines of their table."""


def training(teacher_epochs: int, student_epochs: int, student_learning_rate: float = 2e-3, ridge_lags: int = 4) -> str:
    """The tables of `[training]`."""
    common = "window_frames = 64, save_every_epochs = 1"
    return f"""
[training]
threads = 1
[training.teacher]
{SIZES}optimiser = {{ learning_rate = 2e-3, epochs = {teacher_epochs}, {common} }}
[training.student]
burn_in_s = 0.5
optimiser = {{ learning_rate = {student_learning_rate}, epochs = {student_epochs}, {common} }}
[training.ridge]
lags = {ridge_lags}
folds = 2
gap_s = 1.0
"""


IMPLANT = """
[[implants]]
implant = "utah96-lfp"
compute = "stm32l4r5"
radio = "ble-2m"
"""
