"""Training shared by two processes, which Fabric's launcher starts from this file, gives what one process gives."""

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
from edgebci.progress import silent
from edgebci.training.loop import Fitted, Learner, Plan, fit, reproducible
from edgebci.training.recipe import Optimiser

UPDATES = 12
"""Four epochs of 10 windows in batches of 4, 3 and 3: shares of 2 and 2, or 2 and 1."""


class Smooth(Learner[nn.Sequential]):
    """Learns to pass on two of five inputs. The last layer is never used, as an absent session's embedding."""

    def __init__(self, noise: float = 0.0) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2), nn.Linear(2, 2))
        self.x = torch.from_numpy(np.random.default_rng(1).standard_normal((10, 5)).astype(np.float32))
        self.noise, self.calls = noise, 0

    def windows(self, rng: np.random.Generator) -> NDArray[np.int64]:
        return rng.permutation(10)

    def losses(self, rows: NDArray[np.int64], rng: np.random.Generator) -> dict[str, Tensor]:
        self.calls += 1
        x = self.x[rows] + self.noise * torch.from_numpy(rng.standard_normal((len(rows), 5), dtype=np.float32))
        return {"error": (self.model[:3](x) - self.x[rows, :2]).square().mean()}

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


def train(learner: Smooth, devices: int, partial: Path) -> Fitted[nn.Sequential]:
    optimiser = Optimiser(learning_rate=0.05, epochs=4, batch_windows=4, window_frames=16, warm_up_epochs=1)
    with reproducible(seed=3, threads=1):
        return fit(learner, Plan(optimiser, 7, None, "smooth", partial, devices=devices), silent)


def main(out: Path) -> None:
    """What each of the two processes does; the first writes what came out."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    partial, rest, spoilt = out / "run.partial.safetensors", Smooth(noise=0.5), ""
    models = {
        "shared": train(Smooth(), 2, out / "shared.safetensors").model,
        "noisy": train(Smooth(noise=0.5), 2, out / "noisy.safetensors").model,
    }
    try:
        train(StoppedOnTheSecond(noise=0.5), 2, partial)
    except KeyboardInterrupt:
        models["resumed"] = train(rest, 2, partial).model
    try:
        train(SpoiltOnTheSecond(), 2, out / "spoilt.safetensors")
    except InputError as error:
        spoilt = str(error)
    if rank() == 0:
        for name, model in models.items():
            save_file(model.state_dict(), out / f"{name}.safetensors")
        (out / "told.json").write_text(json.dumps({"calls": rest.calls, "spoilt": spoilt}))


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
    two = load_file(folder / "shared.safetensors")
    for name, value in one.items():
        # Weights below 1, of which 12 updates each add a sum that was rounded in another order.
        torch.testing.assert_close(two[name], value, rtol=0, atol=1e-6)


def test_an_interrupt_of_one_process_stops_both_and_they_end_with_the_same_bits(folder: Path) -> None:
    whole, resumed = load_file(folder / "noisy.safetensors"), load_file(folder / "resumed.safetensors")
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())
    assert json.loads((folder / "told.json").read_text())["calls"] == UPDATES - 5


def test_each_process_draws_noise_of_its_own(folder: Path, tmp_path: Path) -> None:
    one = train(Smooth(noise=0.5), 1, tmp_path / "one.partial.safetensors").model.state_dict()
    two = load_file(folder / "noisy.safetensors")
    assert not torch.allclose(two["0.weight"], one["0.weight"], atol=1e-3)


def test_a_loss_that_is_no_number_on_one_stops_both(folder: Path) -> None:
    assert "the loss 'error' became nan in epoch 1, at update 1" in (folder / "told.json").read_text()


def test_an_epoch_without_windows_is_refused(tmp_path: Path) -> None:
    class Empty(Smooth):
        def windows(self, rng: np.random.Generator) -> NDArray[np.int64]:
            return rng.permutation(0)

    with pytest.raises(InputError, match="a batch of 0 windows cannot be shared by 1 devices; give fewer"):
        train(Empty(), 1, tmp_path / "run.partial.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
