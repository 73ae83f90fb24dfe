"""Training shared by two processes, which Fabric's launcher starts, gives what one process gives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from edgebci.errors import InputError
from edgebci.progress import Progress, silent
from edgebci.training.loop import Fitted, Learner, Plan, fit, reproducible
from edgebci.training.recipe import Optimiser

UPDATES = 12
"""Four epochs of 10 windows in batches of 4, 3 and 3: shares of 2 and 2, or 2 and 1."""


class Smooth(Learner[nn.Sequential]):
    """Learns to pass on two of five inputs. The last layer is never used, as an absent session's embedding."""

    def __init__(self, most_calls: int = UPDATES) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2), nn.Linear(2, 2))
        self.x = torch.from_numpy(np.random.default_rng(1).standard_normal((10, 5)).astype(np.float32))
        self.most_calls, self.calls = most_calls, 0

    def windows(self, rng: np.random.Generator) -> NDArray[np.int64]:
        return rng.permutation(10)

    def losses(self, rows: NDArray[np.int64], rng: np.random.Generator) -> dict[str, Tensor]:
        self.calls += 1
        assert self.calls <= self.most_calls, "an update is done twice"
        noise = torch.from_numpy(rng.standard_normal(3))
        if torch.distributed.is_initialized():
            draws = [torch.zeros_like(noise) for _ in range(2)]
            torch.distributed.all_gather(draws, noise)
            assert (draws[0] != draws[1]).all(), "each process draws for windows of its own"
        # The noise is a part of the loss without a gradient: it shows in the history alone.
        error = self.model[:3](self.x[rows]) - self.x[rows, :2]
        return {"error": error.square().mean(), "noise": noise.float().sum()}

    @torch.no_grad()
    def score(self, model: nn.Sequential) -> float:
        return -float((model[:3](self.x) - self.x[:, :2]).square().mean())


class StoppedOnTheSecond(Smooth):
    """Ctrl-C reaches the second process alone, in the middle of an epoch."""

    def losses(self, rows: NDArray[np.int64], rng: np.random.Generator) -> dict[str, Tensor]:
        if (self.calls, rank()) == (4, 1):
            signal.raise_signal(signal.SIGINT)
        return super().losses(rows, rng)


class SpoiltOnTheSecond(Smooth):
    """The second process alone meets a window that is no number."""

    def losses(self, rows: NDArray[np.int64], rng: np.random.Generator) -> dict[str, Tensor]:
        return {name: loss * (np.nan if rank() else 1) for name, loss in super().losses(rows, rng).items()}


def rank() -> int:
    return int(os.environ.get("LOCAL_RANK", 0))


def train(learner: Smooth, devices: int, partial: Path, progress: Progress = silent) -> Fitted[nn.Sequential]:
    optimiser = Optimiser(learning_rate=0.05, epochs=4, batch_windows=4, window_frames=16, warm_up_epochs=1)
    with reproducible(seed=3, threads=1):
        return fit(learner, Plan(optimiser, 7, None, "smooth", partial, devices=devices), progress)


def main(out: Path) -> None:
    """Train on two devices, whole and interrupted, and write what came out."""
    # A shell that starts the tests in the background lets them ignore Ctrl-C, and what they start inherits that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    notes: list[str] = []
    broken, spoilt = out / "broken.partial.safetensors", ""
    runs = {"whole": train(Smooth(), 2, out / "whole.partial.safetensors", lambda _, note: notes.append(note))}
    try:
        train(StoppedOnTheSecond(), 2, broken)
    except KeyboardInterrupt:
        runs["resumed"] = train(Smooth(most_calls=UPDATES - 5), 2, broken)
    try:
        train(SpoiltOnTheSecond(), 2, out / "spoilt.partial.safetensors")
    except InputError as error:
        spoilt = str(error)
    for name, fitted in runs.items():
        save_file(fitted.model.state_dict(), out / f"{name}.safetensors")
    history = {name: [record.model_dump() for record in fitted.history] for name, fitted in runs.items()}
    (out / "told.json").write_text(json.dumps({"notes": notes, "spoilt": spoilt, "history": history}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("several")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    if sys.platform == "linux":
        environment["GLOO_SOCKET_IFNAME"] = "lo"  # both processes are on this machine, which may have no other network
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", __file__, str(out)], env=environment, capture_output=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    return out


def test_two_processes_give_what_one_gives(folder: Path, tmp_path: Path) -> None:
    one = train(Smooth(), 1, tmp_path / "one.partial.safetensors").model.state_dict()
    two = load_file(folder / "whole.safetensors")
    for name, value in one.items():
        # Weights below 1, of which 12 updates each add a sum that was rounded in another order.
        torch.testing.assert_close(two[name], value, rtol=0, atol=1e-6)


def test_an_interrupt_of_one_process_stops_both_and_they_end_with_the_same_bits(folder: Path) -> None:
    whole, resumed = load_file(folder / "whole.safetensors"), load_file(folder / "resumed.safetensors")
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())
    history = json.loads((folder / "told.json").read_text())["history"]
    assert history["whole"] == history["resumed"]


def test_a_loss_that_is_no_number_on_one_stops_both(folder: Path) -> None:
    assert "the loss 'error' became nan in epoch 1, at update 1" in (folder / "told.json").read_text()


def test_the_first_process_alone_tells_how_far_it_is(folder: Path) -> None:
    notes = json.loads((folder / "told.json").read_text())["notes"]
    assert [note.partition(":")[0] for note in notes] == [f"epoch {number}/4" for number in (1, 2, 3, 4)]


def test_an_epoch_without_windows_is_refused(tmp_path: Path) -> None:
    class Empty(Smooth):
        def windows(self, rng: np.random.Generator) -> NDArray[np.int64]:
            return rng.permutation(0)

    with pytest.raises(InputError, match="a batch of 0 windows cannot be shared by 1 devices; give fewer"):
        train(Empty(), 1, tmp_path / "run.partial.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
