"""Where training computes, at which precision, and when Ctrl-C is heard."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest
import torch

from edgebci.errors import InputError
from edgebci.training.accelerator import prepare
from edgebci.training.interruption import held_back
from edgebci.training.pace import Pace, duration
from edgebci.training.selective_scan import selective_scan


def test_one_process_on_the_cpu_is_the_default_and_leaves_torch_as_it_was() -> None:
    before = torch.get_num_threads(), torch.get_default_dtype(), torch.get_rng_state()
    fabric = prepare("cpu", 1, "float32")
    assert (fabric.world_size, fabric.global_rank, fabric.device.type) == (1, 0, "cpu")
    assert (torch.get_num_threads(), torch.get_default_dtype()) == before[:2]
    assert torch.equal(torch.get_rng_state(), before[2])


def test_preparing_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    prepare("auto", 1, "bf16")
    assert capfd.readouterr() == ("", "")


def test_devices_that_are_not_there_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(InputError, match="1 CUDA devices was asked for where torch finds 0; give fewer"):
        prepare("cuda", 1, "float32")
    with pytest.raises(InputError, match="0 devices is not possible"):
        prepare("cpu", 0, "float32")
    assert prepare("auto", 1, "float32").device.type == "cpu"


def test_fabric_is_imported_by_training_that_begins_and_by_nothing_before() -> None:
    code = "import sys, edgebci.training.loop; print('lightning_fabric' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"


def test_the_scan_keeps_its_state_and_its_sums_in_float32_under_autocast() -> None:
    g = torch.Generator().manual_seed(0)
    x, B, C = (torch.randn(2, 100, *shape, generator=g) for shape in ((3, 4), (5,), (5,)))
    dt, A, h = torch.rand(2, 100, 3, generator=g), -torch.rand(3, generator=g), torch.zeros(2, 3, 4, 5)
    rounded = [value.bfloat16() for value in (x, B, C)]
    # Inputs that are bfloat16 already, so that whatever differs is arithmetic of the scan.
    exact = [value.float().requires_grad_() for value in rounded]
    low = [value.float().requires_grad_() for value in rounded]
    y, last = selective_scan(exact[0], dt, A, exact[1], exact[2], h)
    y.square().mean().backward()  # type: ignore[no-untyped-call]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y_low, last_low = selective_scan(low[0].bfloat16(), dt, A, low[1].bfloat16(), low[2].bfloat16(), h)
    y_low.square().mean().backward()  # type: ignore[no-untyped-call]
    assert (y_low.dtype, last_low.dtype) == (torch.float32, torch.float32)
    torch.testing.assert_close(y_low, y, rtol=0, atol=0)
    torch.testing.assert_close(last_low, last, rtol=0, atol=0)
    for ours, other in zip(low, exact, strict=True):
        assert ours.grad is not None
        assert other.grad is not None
        # The gradient of a bfloat16 input is rounded to its 8 bits once.
        torch.testing.assert_close(ours.grad, other.grad, rtol=2**-8, atol=1e-8)


def test_the_first_interrupt_is_noted_and_the_second_is_raised() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with held_back() as interruption:
            signal.raise_signal(signal.SIGINT)
            assert interruption.asked
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_program_s_handler_and_other_threads_keep_theirs() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        with held_back() as interruption:
            signal.raise_signal(signal.SIGINT)
        assert (heard, interruption.asked) == ([signal.SIGINT], False)
    finally:
        signal.signal(signal.SIGINT, before)
    asked: list[bool] = []

    def elsewhere() -> None:
        with held_back() as inside:
            asked.append(inside.asked)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert asked == [False]


class Clock:
    """A clock that is set by hand."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_pace_counts_only_what_this_process_did() -> None:
    clock = Clock()
    pace = Pace(start_share=0.5, clock_s=clock)
    clock.now_s += 40
    pace.trained(windows=3000, seconds=30)
    # A tenth of the work took 40 s, scoring included, and four tenths are left.
    assert pace.note(share=0.6) == "100 windows/s, 2 min 40 s left"
    assert not pace.due()
    clock.now_s += 10
    assert pace.due()


def test_times_are_told_in_their_two_largest_units() -> None:
    told = [duration(seconds) for seconds in (0.4, 59.6, 61, 3600, 7322, 86400 * 3 + 7300)]
    assert told == ["0 s", "1 min 0 s", "1 min 1 s", "1 h 0 min", "2 h 2 min", "3 d 2 h"]
