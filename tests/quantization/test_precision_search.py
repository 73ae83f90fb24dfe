"""The search takes what costs least of what is measured to lose little, and shows all that it tried."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

from edgebci.cli.precision import precision_app
from edgebci.comparison import Interval
from edgebci.decoder_float import FloatDecoder
from edgebci.decoder_spec import DecoderSpec
from edgebci.errors import InputError, VerificationError
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.quantization import QuantizationRecipe, quantize
from edgebci.export.widths import choices, state_names
from edgebci.frame_stream import FrameStream
from edgebci.operators.cells import CellKind
from edgebci.pipeline.cycle_table import CycleTable, load_cycle_table
from edgebci.pipeline.precision_frontier import Frontier, FrontierPoint, Sensitivity, choose, mark_efficient
from edgebci.pipeline.precision_scoring import Cost, Validation, Widths, complete
from edgebci.pipeline.precision_search import greedy_way, search

SPEC = DecoderSpec(
    n_inputs=8, output_names=("x", "y"), output_unit="cm/s", d_model=16, d_state=4, headdim=16, n_layers=1
)
TABLE = load_cycle_table("cortex-m4f")
PARAMETERS, FRAMES = random_parameters(SPEC, 1), random_frames(SPEC, 5000, 2)


def stream(start: int, stop: int) -> FrameStream:
    """Behaviour is what the float decoder says, with half as much noise of its own."""
    exact = FloatDecoder.of(SPEC, PARAMETERS).stream(FRAMES[start:stop])
    noise = 0.5 * exact.std(axis=0) * np.random.default_rng(start).standard_normal(exact.shape)
    n = stop - start
    return FrameStream(FRAMES[start:stop], np.arange(n) == 0, exact + noise, np.ones(n, bool))


@pytest.fixture(scope="module")
def frontier() -> Frontier:
    return search(SPEC, PARAMETERS, stream(0, 600), Validation(stream(600, 5000), 50.0), 0.02)


def point(
    name: str, value: float, high: float, cycles: float = 1.0, size: int = 1, noise: float = 0.0
) -> FrontierPoint:
    loss = Interval(value=value, low=0.0, high=high)
    return FrontierPoint(name=name, widths={}, loss=loss, noise=noise, cycles=cycles, weight_bytes=size, state_bytes=0)


def test_the_cheapest_whose_bound_is_within_the_loss_is_chosen() -> None:
    points = [point("a", 0.001, 0.002, 9), point("b", 0.005, 0.009, 5), point("c", 0.009, 0.012, 1)]
    assert choose(points, 0.01, lambda one: one.cycles) == (1, True)


def test_where_no_bound_is_within_the_least_loss_is_chosen_and_not_called_proven() -> None:
    points = [point("a", 0.004, 0.02, 9), point("b", 0.005, 0.02, 5)]
    assert choose(points, 0.01, lambda one: one.cycles) == (0, False)


def test_where_everything_loses_more_nothing_is_chosen() -> None:
    with pytest.raises(VerificationError, match=r"no widths lose 0.01 or less: the best \(a\) loses 0.0200"):
        choose([point("a", 0.02, 0.03)], 0.01, lambda one: one.cycles)


def test_what_another_beats_everywhere_is_not_efficient() -> None:
    points = [
        point("best", 0, 0, cycles=1, size=1, noise=0.1),
        point("beaten", 0, 0, cycles=2, size=1, noise=0.1),
        point("precise", 0, 0, cycles=3, size=3, noise=0.01),
    ]
    assert [one.efficient for one in mark_efficient(points)] == [True, False, True]


def test_the_way_takes_the_least_noise_for_what_it_saves_first() -> None:
    def one(name: str, bits: int, noise: float) -> Sensitivity:
        return Sensitivity.model_validate(
            {"name": name, "bits": bits, "noise": noise, "cycles_saved": 0.0, "bytes_saved": 0}
        )

    sizes = {"large": 100, "small": 1}
    found = greedy_way(
        {"large": 16, "small": 16},
        [one("large", 8, 0.1), one("small", 8, 0.01), one("large", 4, 10.0), one("small", 4, 0.012)],
        lambda widths: sum(sizes[name] * bits for name, bits in widths.items()),
    )
    # 0.1 / 800 comes first, then small straight to 4 bits (0.012 / 12 is less than 0.01 / 8), then large.
    assert [name for name, _ in found] == ["large to int8", "small to int4", "large to int4"]
    assert found[-1][1] == {"large": 4, "small": 4}


def test_a_step_that_saves_nothing_is_never_taken() -> None:
    one = Sensitivity(name="a", bits=8, noise=0.0, cycles_saved=-1.0, bytes_saved=0)
    assert greedy_way({"a": 16}, [one], lambda widths: 1.0 if widths["a"] == 16 else 2.0) == []


def test_the_frontier_holds_the_uniform_forms_and_every_choice(frontier: Frontier) -> None:
    names = {one.name for one in frontier.points}
    assert {"all int16", "all int8, states int16", "all int4, states int16"} <= names
    assert all(set(one.widths) == set(choices(SPEC)) for one in frontier.points)
    assert len({tuple(sorted(one.widths.items())) for one in frontier.points}) == len(frontier.points) > 4
    assert all(one.loss.low <= one.loss.value <= one.loss.high for one in frontier.points)


def test_int8_states_are_tried_only_where_the_decay_report_allows_them(frontier: Frontier) -> None:
    tried = {one.name for one in frontier.sensitivities if one.name in state_names(SPEC)}
    assert frontier.decay is not None
    assert tried == set(frontier.decay.widths())


def test_four_bits_add_more_noise_than_eight(frontier: Frontier) -> None:
    noise = {(one.name, one.bits): one.noise for one in frontier.sensitivities}
    assert noise["input", 4] > 4 * noise["input", 8]


def test_the_chosen_widths_lose_what_the_frontier_says(frontier: Frontier) -> None:
    assert frontier.proven
    assert frontier.chosen.loss.high <= 0.02
    calibration, validation = stream(0, 600), Validation(stream(600, 5000), 50.0)
    recipe = QuantizationRecipe(widths=frontier.chosen.widths)
    decoded = quantize(SPEC, PARAMETERS, calibration.frames, recipe).stream(validation.stream.frames).astype(float)
    exact = FloatDecoder.of(SPEC, PARAMETERS).stream(validation.stream.frames)
    lost = validation.accuracy(exact) - validation.accuracy(decoded)
    assert frontier.chosen.loss.value == pytest.approx(lost, abs=1e-9)
    assert frontier.float_accuracy == pytest.approx(validation.accuracy(exact))
    assert f"{frontier.chosen.bytes:,} bytes" in frontier.sentence()


@pytest.mark.parametrize(
    ("cell", "widths"),
    [
        ("mamba2", {}),
        ("mamba2", {"input": 4, "readout": 16}),
        ("mamba2", {"ssm.0": 8, "layers.0.mixer.in_proj": 4}),
        ("s4d", {"modes.0": 8, "layers.0.mixer.out_proj": 4}),
        ("gru", {"hidden.0": 8, "layers.0.mixer.hh": 16}),
    ],
)
def test_bytes_are_those_of_the_decoder(cell: CellKind, widths: Widths) -> None:
    spec = SPEC.model_copy(update={"cell": cell})
    decoder = quantize(spec, random_parameters(spec, 1), FRAMES[:300], QuantizationRecipe(widths=widths))
    tensors = decoder.tensors()
    # A file holds an int4 weight in a byte of its own; a device two of them in one.
    halves = sum(tensor.size // 2 for name, tensor in tensors.items() if name.endswith("weight_int4"))
    cost, chosen = Cost(spec, TABLE), complete(spec, widths)
    weights, states = cost.bytes(chosen)
    assert cost.cycles(chosen) > 0
    assert weights == sum(tensor.nbytes for tensor in tensors.values()) - halves
    assert states == sum(state.nbytes for state in decoder.initial_states().values())


def test_a_loss_that_is_not_positive_is_refused() -> None:
    with pytest.raises(InputError, match="--max-loss is 0, allowed are numbers above 0"):
        search(SPEC, PARAMETERS, stream(0, 100), Validation(stream(100, 200), 50.0), 0.0)


def test_validation_without_a_scored_frame_is_refused() -> None:
    found = stream(0, 10)
    with pytest.raises(InputError, match="no validation frame is scored"):
        Validation(FrameStream(found.frames, found.reset_before, found.truth, np.zeros(10, bool)), 50.0)


def test_the_picture_shows_every_point_and_comes_out_the_same(frontier: Frontier) -> None:
    svg = frontier.svg()
    assert svg == frontier.svg()
    assert svg.startswith("<svg")
    # In each half of the picture every uniform form has its name, and so has the chosen one where it is one of them.
    uniform = [one.name for one in frontier.points if one.name.startswith("all ")]
    assert len(uniform) >= 3
    shown = f"chosen: {frontier.chosen.name}"
    assert frontier.chosen.name in uniform
    assert [svg.count(f">{shown if name in shown else name}<") for name in uniform] == [2] * len(uniform)
    assert all(text in svg for text in ("KiB of weights and states", "modelled", ">chosen<"))


def test_a_chosen_form_of_several_widths_is_called_chosen_and_what_was_not_chosen_keeps_its_name(
    frontier: Frontier,
) -> None:
    step = next(i for i, one in enumerate(frontier.points) if not one.name.startswith("all "))
    svg = frontier.model_copy(update={"chosen_index": step}).svg()
    assert frontier.points[step].name not in svg
    assert svg.count(">all int8, states int16<") == 2
    assert svg.count(">chosen<") == 3  # once in each half, and in the legend


def test_a_frontier_is_a_document_that_comes_back(frontier: Frontier) -> None:
    assert Frontier.model_validate_json(frontier.model_dump_json()) == frontier


def test_the_commands_say_what_they_do() -> None:
    for command in ("cycles", "search", "decay"):
        result = CliRunner().invoke(precision_app, [command, "--help"])
        assert result.exit_code == 0
        assert "Usage" in result.output


def test_the_shipped_table_has_every_width_and_is_ordered_as_hardware_is() -> None:
    assert {row.bits for row in TABLE.dense} == {4, 8, 16}
    assert {(row.cell, row.bits) for row in TABLE.states} == {(c, b) for c in ("mamba2", "s4d", "gru") for b in (8, 16)}
    assert TABLE.dense_cycles(64, 128, 8) == min(TABLE.dense_cycles(64, 128, bits) for bits in (4, 8, 16))
    assert max(row.largest_error for row in TABLE.dense) < 0.1
    assert "modelled" in TABLE.evidence
    with pytest.raises(InputError, match="needed are those of cortex-m7; measure them"):
        load_cycle_table("cortex-m7")


def test_a_table_survives_its_file(tmp_path: pytest.TempPathFactory) -> None:
    path = tmp_path / "table.toml"  # type: ignore[operator]
    path.write_text(TABLE.toml(), encoding="utf-8")
    assert load_cycle_table("cortex-m4f", path) == TABLE
    assert isinstance(TABLE, CycleTable)
