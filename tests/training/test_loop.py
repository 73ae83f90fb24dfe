"""The training loop: to the bit what a plain loop gives, wherever it is interrupted."""

from __future__ import annotations

import copy
import json
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn

from edgebci.errors import InputError
from edgebci.progress import Progress, silent
from edgebci.training.loop import Fitted, Learner, Plan, fit, reproducible
from edgebci.training.recipe import Optimiser
from edgebci.training.schedule import learning_rate

UPDATES = 3
"""Of an epoch: 10 windows in batches of 4."""
OPTIMISER = Optimiser(
    learning_rate=0.05, warm_up_epochs=1, epochs=4, batch_windows=4, window_frames=16, save_every_epochs=100
)


class Regression(Learner[nn.Sequential]):
    """Learns a linear map through dropout and noise, so that every generator matters."""

    score_name = "validation score"

    def __init__(self, after_losses: Callable[[int], None] = lambda _: None) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.3), nn.Linear(8, 2))
        rng = np.random.default_rng(1)
        self.x = torch.from_numpy(rng.standard_normal((10, 5)).astype(np.float32))
        self.y = self.x @ torch.from_numpy(rng.standard_normal((5, 2)).astype(np.float32))
        self.after_losses, self.calls = after_losses, 0

    def windows(self, rng: np.random.Generator) -> NDArray[np.int64]:
        return rng.permutation(10)

    def losses(self, rows: NDArray[np.int64], rng: np.random.Generator) -> dict[str, Tensor]:
        noise = torch.from_numpy(rng.standard_normal((len(rows), 5), dtype=np.float32))
        error = self.model(self.x[rows] + 0.1 * noise) - self.y[rows]
        losses = {"first": error[:, 0].square().mean(), "second": 0.5 * error[:, 1].square().mean()}
        self.calls += 1
        self.after_losses(self.calls)
        return losses

    @torch.no_grad()
    def score(self, model: nn.Sequential) -> float | None:
        return -float((model(self.x) - self.y).square().mean())


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(OPTIMISER, seed=7, patience_epochs=None, identity="this run", partial=tmp_path / "run.safetensors")


@pytest.fixture
def heeded() -> Iterator[None]:
    """Ctrl-C arrives as it does in a terminal: tests in the background would ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def train(learner: Learner[nn.Sequential], plan: Plan, progress: Progress = silent) -> Fitted[nn.Sequential]:
    with reproducible(seed=3, threads=1):
        return fit(learner, plan, progress)


def same_bits(ours: Fitted[nn.Sequential], other: Fitted[nn.Sequential]) -> bool:
    weights = other.model.state_dict()
    equal = all(torch.equal(value, weights[name]) for name, value in ours.model.state_dict().items())
    return equal and ours.history == other.history and ours.best_epoch == other.best_epoch


def interrupt_at(update: int) -> Callable[[int], None]:
    return lambda calls: signal.raise_signal(signal.SIGINT) if calls == update else None


def break_at(update: int) -> Callable[[int], None]:
    def crash(calls: int) -> None:
        if calls == update:
            raise OSError("power cut")

    return crash


def plainly_trained(seed: int) -> nn.Sequential:
    """Four epochs in plain torch."""
    learner = Regression()
    model, average = learner.model, copy.deepcopy(learner.model).eval()
    groups = [
        {"params": [p for p in model.parameters() if p.dim() == d], "weight_decay": w} for d, w in ((2, 0.01), (1, 0.0))
    ]
    adam, count = torch.optim.AdamW(groups, lr=0.1), 0
    for epoch in range(OPTIMISER.epochs):
        rng = np.random.default_rng([seed, epoch])
        torch.manual_seed(int(rng.integers(2**31)))
        for i, rows in enumerate(np.array_split(learner.windows(rng), UPDATES)):
            adam.zero_grad()
            torch.stack(list(learner.losses(rows, rng).values())).sum().backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), OPTIMISER.clip_norm)
            for group in adam.param_groups:
                group["lr"] = learning_rate(OPTIMISER, epoch + i / UPDATES)
            adam.step()
            count += 1
            for mean, value in zip(average.parameters(), model.parameters(), strict=True):
                mean.data.lerp_(value.data, 1 - min(OPTIMISER.average_decay, (count - 1) / (count + 9)))
    return average


def test_fabric_gives_the_bits_of_a_plain_loop_of_torch(plan: Plan) -> None:
    class Unscored(Regression):
        def score(self, model: nn.Sequential) -> None:
            """Keep the last weights."""

    found = train(Unscored(), plan).model.state_dict()
    with reproducible(seed=3, threads=1):
        wanted = plainly_trained(plan.seed).state_dict()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("update", range(1, UPDATES * OPTIMISER.epochs + 1))
def test_a_run_interrupted_at_any_update_ends_with_the_same_bits(plan: Plan, heeded: None, update: int) -> None:
    whole = train(Regression(), replace(plan, partial=plan.partial.with_name("whole.safetensors")))
    with pytest.raises(KeyboardInterrupt):
        train(Regression(interrupt_at(update)), plan)
    rest = Regression()
    assert same_bits(train(rest, plan), whole)
    assert rest.calls == UPDATES * OPTIMISER.epochs - update, "no update is done twice"


@pytest.mark.parametrize("change", [{"precision": "bf16"}, {"algorithm": "lamb"}, {"final_weight_decay": 0.4}])
def test_a_run_interrupted_many_times_ends_with_the_same_bits(
    plan: Plan, heeded: None, change: dict[str, object]
) -> None:
    plan = replace(plan, optimiser=OPTIMISER.model_copy(update=change))
    whole = train(Regression(), replace(plan, partial=plan.partial.with_name("whole.safetensors")))
    for _ in range(7):
        with pytest.raises(KeyboardInterrupt):
            train(Regression(interrupt_at(1)), plan)
    assert same_bits(train(Regression(), plan), whole)


def test_the_best_weights_survive_an_interrupt_of_a_later_epoch(plan: Plan, heeded: None) -> None:
    class Worsening(Regression):
        """Scores the error itself, so that the first epoch is the best."""

        def score(self, model: nn.Sequential) -> float:
            return -(super().score(model) or 0.0)

    whole = train(Worsening(), replace(plan, partial=plan.partial.with_name("whole.safetensors")))
    with pytest.raises(KeyboardInterrupt):
        train(Worsening(interrupt_at(8)), plan)
    assert whole.best_epoch == 1
    assert same_bits(train(Worsening(), plan), whole)


@pytest.mark.parametrize("update", [2, 4, 5, 9])
def test_a_run_that_is_killed_goes_on_from_the_last_save(plan: Plan, update: int) -> None:
    whole = train(Regression(), replace(plan, partial=plan.partial.with_name("whole.safetensors")))
    saving = replace(plan, save_every_updates=2)
    with pytest.raises(OSError, match="power cut"):
        train(Regression(break_at(update)), saving)
    rest = Regression()
    assert same_bits(train(rest, saving), whole)
    assert rest.calls == UPDATES * OPTIMISER.epochs - (update - 1) // 2 * 2


def test_a_listener_may_interrupt_between_epochs(plan: Plan) -> None:
    def listener(share: float, note: str) -> None:
        if note.startswith("epoch 2/"):
            raise KeyboardInterrupt

    whole = train(Regression(), replace(plan, partial=plan.partial.with_name("whole.safetensors")))
    with pytest.raises(KeyboardInterrupt):
        train(Regression(), plan, listener)
    rest = Regression()
    assert same_bits(train(rest, plan), whole)
    assert rest.calls == 2 * UPDATES


def test_the_saved_state_is_safetensors_with_json_inside(plan: Plan, heeded: None) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(Regression(interrupt_at(5)), plan)
    with safe_open(plan.partial, framework="numpy") as file:
        header = json.loads(file.metadata()["edgebci"])
        assert file.get_tensor("random/torch").dtype == np.uint8
    assert len(header["history"]) == 1
    assert len(header["position"]["losses"]) == 2
    assert header["position"]["generator"]["bit_generator"] == "PCG64"


@pytest.mark.parametrize(
    "change", [{"schema_version": "edgebci.training_run/1"}, {"identity": "another"}, {"devices": "2 x cpu"}]
)
def test_a_state_of_another_run_or_schema_starts_again(plan: Plan, heeded: None, change: dict[str, str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(Regression(interrupt_at(5)), plan)
    with safe_open(plan.partial, framework="numpy") as file:
        header = json.loads(file.metadata()["edgebci"])
    save_file(load_file(plan.partial), plan.partial, metadata={"edgebci": json.dumps(header | change)})
    again = Regression()
    train(again, plan)
    assert again.calls == UPDATES * OPTIMISER.epochs


def test_a_state_of_another_model_starts_again(plan: Plan, heeded: None) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(Regression(interrupt_at(5)), plan)
    wider = Regression()
    wider.model = nn.Sequential(nn.Linear(5, 9), nn.Dropout(0.3), nn.Linear(9, 2))
    train(wider, plan)
    assert wider.calls == UPDATES * OPTIMISER.epochs


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_what_was_saved(plan: Plan) -> None:
    class Exploding(Regression):
        def losses(self, rows: NDArray[np.int64], rng: np.random.Generator) -> dict[str, Tensor]:
            losses = super().losses(rows, rng)
            return losses | {"second": losses["second"] * (float("nan") if self.calls == 8 else 1)}

    learner, saving = Exploding(), replace(plan, save_every_updates=3)
    with pytest.raises(InputError, match=r"the loss 'second' became nan in epoch 3, at update 8; lower learning_rate"):
        train(learner, saving)
    assert all(p.isfinite().all() for p in learner.model.parameters())
    with safe_open(plan.partial, framework="numpy") as file:
        assert file.get_tensor("updates") == 6


def test_a_gradient_that_is_no_number_touches_no_weight_though_the_loss_is_finite(plan: Plan) -> None:
    class Steep(Regression):
        def losses(self, rows: NDArray[np.int64], rng: np.random.Generator) -> dict[str, Tensor]:
            return {"root": (self.model(self.x[rows]) * 0).abs().sum().sqrt()}

    learner = Steep()
    before = copy.deepcopy(learner.model.state_dict())
    with pytest.raises(InputError, match="the gradient became nan in epoch 1, at update 1"):
        train(learner, plan)
    assert all(torch.equal(value, before[name]) for name, value in learner.model.state_dict().items())


def test_a_score_that_is_no_number_is_refused(plan: Plan) -> None:
    class Degenerate(Regression):
        def score(self, model: nn.Sequential) -> float:
            return float("nan")

    with pytest.raises(InputError, match=r"the validation score became nan in epoch 1; give validation intervals"):
        train(Degenerate(), plan)


def test_training_stops_by_validation_alone_and_keeps_the_weights_that_scored_best(plan: Plan) -> None:
    scores, seen = [0.1, 0.5, 0.5, 0.4], []

    class Scripted(Regression):
        def score(self, model: nn.Sequential) -> float:
            seen.append(copy.deepcopy(model.state_dict()))
            return scores[len(seen) - 1]

    patient = replace(plan, patience_epochs=2, optimiser=OPTIMISER.model_copy(update={"epochs": 9}))
    fitted = train(Scripted(), patient)
    assert [record.score for record in fitted.history] == scores
    assert (fitted.best_epoch, fitted.score) == (2, 0.5)
    assert all(torch.equal(value, seen[1][name]) for name, value in fitted.model.state_dict().items())
    losses = [sum(record.losses.values()) for record in fitted.history]
    assert losses[3] < losses[1], "training went on getting better, and that did not matter"


def test_a_note_says_losses_score_throughput_and_time_left(plan: Plan) -> None:
    notes: list[tuple[float, str]] = []
    train(Regression(), plan, lambda share, note: notes.append((share, note)))
    assert [share for share, _ in notes] == [0.25, 0.5, 0.75, 1.0]
    form = (
        r"epoch \d/4: first \d+\.\d{3}, second \d+\.\d{3}, validation score -\d+\.\d{3}, [\d,.]+ windows/s, \d+ s left"
    )
    assert all(re.fullmatch(form, note) for _, note in notes), notes
    assert notes[-1][1].endswith(", 0 s left")
