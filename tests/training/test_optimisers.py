"""How the weights are changed: LAMB by its formula, decay along its ramp, schedules by their shape."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgebci.training.lamb import Lamb
from edgebci.training.recipe import Optimiser
from edgebci.training.schedule import learning_rate, weight_decay


def lamb_in_float64(
    weight: np.ndarray[tuple[int, ...], np.dtype[np.float64]], rate: float, decay: float, steps: int
) -> None:
    """The paper's algorithm on the loss sum(w^2) / 2, whose gradient is w; changes `weight`."""
    mean, square = np.zeros_like(weight), np.zeros_like(weight)
    for t in range(1, steps + 1):
        gradient = weight.copy()
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        step = mean / (1 - 0.9**t) / (np.sqrt(square / (1 - 0.999**t)) + 1e-6) + decay * weight
        weight -= rate * np.linalg.norm(weight) / np.linalg.norm(step) * step


def test_lamb_is_its_formula() -> None:
    start = np.random.default_rng(0).standard_normal((3, 4))
    parameter = torch.nn.Parameter(torch.from_numpy(start))
    rule = Lamb([{"params": [parameter], "weight_decay": 0.1}], lr=0.05)
    for _ in range(20):
        parameter.grad = parameter.detach().clone()
        rule.step()
    lamb_in_float64(start, 0.05, 0.1, 20)
    np.testing.assert_allclose(parameter.detach().numpy(), start, rtol=1e-10)


def test_a_step_of_lamb_is_as_long_as_the_weights_times_the_rate_and_starts_from_zeros_too() -> None:
    weights = torch.nn.Parameter(torch.tensor([3.0, 4.0])), torch.nn.Parameter(torch.zeros(2))
    for weight in weights:
        weight.grad = torch.tensor([1e-4, 1e4])
    Lamb([{"params": list(weights)}], lr=0.01).step()
    # The first step of Adam is the gradient's sign, of length sqrt(2); epsilon is a hundredth of the small gradient.
    assert float((weights[0].detach() - torch.tensor([3.0, 4.0])).norm()) == pytest.approx(0.05, rel=1e-4)
    assert weights[1].tolist() == pytest.approx([-0.01, -0.01], rel=0.02)


def test_lamb_leaves_parameters_without_a_gradient() -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    rule = Lamb([{"params": [weight], "weight_decay": 0.1}], lr=0.1)
    rule.step()
    assert weight.tolist() == [1.0, 1.0]
    assert not rule.state


def test_weight_decay_goes_along_a_line_or_stays() -> None:
    ramp = Optimiser(learning_rate=0.1, epochs=10, weight_decay=0.1, final_weight_decay=0.4)
    assert [weight_decay(ramp, epoch) for epoch in (0, 5, 10)] == pytest.approx([0.1, 0.25, 0.4])
    assert weight_decay(ramp.model_copy(update={"final_weight_decay": "constant"}), 7.5) == 0.1


def test_every_schedule_warms_up_and_falls_as_it_says() -> None:
    base = Optimiser(learning_rate=1.0, epochs=30, warm_up_epochs=10, warm_up_start_ratio=0.3, final_rate_ratio=0.01)
    for schedule in ("cosine", "exponential", "one_cycle"):
        changed = base.model_copy(update={"schedule": schedule, "decay_per_epoch": 0.9})
        assert [learning_rate(changed, epoch) for epoch in (0, 5, 10)] == pytest.approx([0.3, 0.65, 1.0])
        assert learning_rate(changed, 20) == pytest.approx(
            {"cosine": 0.505, "exponential": 0.9**10, "one_cycle": 1.0}[schedule]
        )
        assert learning_rate(changed, 30) == pytest.approx(0.9**20 if schedule == "exponential" else 0.01)
