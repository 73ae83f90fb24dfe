"""The twin that is trained computes what the bit-exact reference computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgebci.export.quantization import QuantizationRecipe, quantize
from edgebci.quantized_decoder import QuantizedDecoder
from edgebci.training.quantization_aware.costs import operators, stream_with_exact
from edgebci.training.quantization_aware.counting import INT8, count, learned_step
from edgebci.training.quantization_aware.twin import QuantizedTwin
from tests.quantization_aware.conftest import Example, example

Arrays = dict[str, NDArray[Any]]


def reference_of(decoder: QuantizedDecoder, example: Example) -> tuple[NDArray[np.float32], Arrays, Arrays]:
    """Outputs of every step, what each quantizer gave, and every state before each step."""
    seen: dict[str, list[NDArray[Any]]] = {}
    outputs = decoder.stream(example.frames, tap=lambda name, values: seen.setdefault(name, []).append(values.copy()))
    counts = {name: np.concatenate(parts) for name, parts in seen.items()}
    before = {
        name: np.concatenate([np.zeros_like(counts[f"{name}.next"][:1]), counts[f"{name}.next"][:-1]])
        for name in decoder.spec.state_shapes()
    }
    return outputs, counts, before


def one_step_of_each(twin: QuantizedTwin, example: Example, before: Arrays) -> tuple[Tensor, dict[str, Tensor]]:
    """Every step of the stream at once, as a stream of its own, from the state that the reference had."""
    seen: dict[str, Tensor] = {}
    states = {name: torch.from_numpy(values.astype(np.float32)) for name, values in before.items()}
    with torch.no_grad():
        outputs, _ = twin.run(torch.from_numpy(example.frames)[:, None], states, tap=seen.__setitem__)
    return outputs[:, 0], {name: values[:, 0] for name, values in seen.items()}


@pytest.mark.parametrize("weight_bits", [4, 8])
def test_every_count_is_that_of_the_reference_but_at_ties(any_cell: Example, weight_bits: int) -> None:
    one = example(any_cell.spec.cell, weight_bits, tokenizer=any_cell.spec.tokenizer)
    twin = QuantizedTwin.of(one.checkpoint.parameters, one.decoder)
    outputs, counts, before = reference_of(one.decoder, one)
    decoded, found = one_step_of_each(twin, one, before)
    assert found.keys() == counts.keys()
    clean = np.ones(len(outputs), bool)
    for name, wanted in counts.items():  # in the order of computation
        different = np.abs(found[name].numpy().astype(np.int64) - wanted.astype(np.int64)).reshape(len(wanted), -1)
        # exp, silu and sums of floats are torch's, within some 1e-6 of the device's: a value so near a tie goes to the
        # other side, less than one count of int16 in a thousand. What follows in that step follows another count.
        assert different[clean].max() <= 1, name
        assert (different[clean] > 0).mean() <= 1e-3, name
        clean &= ~different.any(axis=1)
    assert clean.mean() >= 0.9
    np.testing.assert_allclose(decoded.numpy()[clean], outputs[clean], rtol=0, atol=1e-5 * np.abs(outputs).max())


def test_running_freely_the_twin_decodes_what_the_reference_decodes(any_cell: Example) -> None:
    twin = QuantizedTwin.of(any_cell.checkpoint.parameters, any_cell.decoder)
    wanted = any_cell.decoder.stream(any_cell.frames)
    decoded = stream_with_exact(twin, any_cell.frames, None, frozenset())
    # A count that a tie moved stays in the state for as long as it remembers: the root mean square is that of less
    # than one count of the last quantizer now and then, far below the error of quantization itself, some 1e-2.
    assert np.sqrt(np.mean((decoded - wanted) ** 2)) <= 2e-3 * wanted.std()


def test_a_state_restarts_where_the_stream_does(any_cell: Example) -> None:
    twin = QuantizedTwin.of(any_cell.checkpoint.parameters, any_cell.decoder)
    frames, resets = any_cell.frames[:300], np.zeros(300, bool)
    resets[100] = True
    decoded = stream_with_exact(twin, frames, resets, frozenset())
    alone = stream_with_exact(twin, frames[100:], None, frozenset())
    np.testing.assert_array_equal(decoded[100:], alone)


@pytest.mark.parametrize("weight_bits", [4, 8, 16])
def test_before_training_the_twin_holds_the_very_integers_that_it_began_with(
    any_cell: Example, weight_bits: int
) -> None:
    one = example(any_cell.spec.cell, weight_bits, tokenizer=any_cell.spec.tokenizer)
    again = QuantizedTwin.of(one.checkpoint.parameters, one.decoder).quantized()
    tensors = again.tensors()
    for name, wanted in one.decoder.tensors().items():
        assert tensors[name].dtype == wanted.dtype, name
        if name.endswith(".read"):  # the step of a mode is recovered by a division: one unit in the last place
            np.testing.assert_allclose(tensors[name], wanted, rtol=2e-7)
        else:
            np.testing.assert_array_equal(tensors[name], wanted, err_msg=name)


def test_a_readout_over_lags_has_a_twin(any_cell: Example) -> None:
    one = example(any_cell.spec.cell, readout_lags=3, tokenizer=any_cell.spec.tokenizer)
    twin = QuantizedTwin.of(one.checkpoint.parameters, one.decoder)
    wanted = one.decoder.stream(one.frames[:200])
    decoded = stream_with_exact(twin, one.frames[:200], None, frozenset())
    assert np.sqrt(np.mean((decoded - wanted) ** 2)) <= 2e-3 * wanted.std()


def test_with_all_quantizers_left_out_the_twin_is_the_float_decoder(any_cell: Example) -> None:
    twin = QuantizedTwin.of(any_cell.checkpoint.parameters, any_cell.decoder)
    wanted = any_cell.floating.stream(any_cell.frames)
    decoded = stream_with_exact(twin, any_cell.frames, None, frozenset(twin.quantizers))
    # float32 against float64 over 1600 steps.
    assert np.abs(decoded - wanted).max() <= 1e-4 * np.abs(wanted).max()


def test_every_quantizer_belongs_to_one_operator_and_makes_a_difference(any_cell: Example) -> None:
    twin = QuantizedTwin.of(any_cell.checkpoint.parameters, any_cell.decoder)
    found, everything = operators(twin), frozenset(twin.quantizers)
    assert sorted(name for names in found.values() for name in names) == sorted(everything)
    exact = stream_with_exact(twin, any_cell.frames[:200], None, everything)
    for operator, names in found.items():
        alone = stream_with_exact(twin, any_cell.frames[:200], None, everything - names)
        assert not np.array_equal(alone, exact), operator


def test_an_int8_state_stays_int8() -> None:
    one = example("mamba2")
    recipe = QuantizationRecipe.model_validate({"widths": {"ssm.0": 8}})
    decoder = quantize(one.spec, one.checkpoint.parameters, one.frames[:512], recipe)
    twin = QuantizedTwin.of(one.checkpoint.parameters, decoder)
    assert twin.quantized().int8_states == ("ssm.0",)
    seen: dict[str, Tensor] = {}
    with torch.no_grad():
        twin.run(torch.from_numpy(one.frames[None, :200]), twin.initial_states(1), tap=seen.__setitem__)
    assert float(seen["ssm.0.next"].abs().max()) <= 128 < float(seen["ssm.1.next"].abs().max())


def test_a_count_is_rounded_to_even_and_passes_its_gradient_inside_the_range_only() -> None:
    values = torch.tensor([0.5, 1.5, -2.5, 126.6, 127.4, -128.0, -129.0], requires_grad=True)
    counts = count(values, INT8)
    counts.sum().backward()  # type: ignore[no-untyped-call]
    assert counts.tolist() == [0.0, 2.0, -2.0, 127.0, 127.0, -128.0, -128.0]
    assert values.grad is not None
    assert values.grad.tolist() == [1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0]


def test_the_gradient_of_a_step_is_that_of_lsq() -> None:
    """Esser et al. 2020, equations 3 and 4: count - x / s inside the range, the limit outside, over sqrt(N Q)."""
    start, change = torch.tensor(0.1), torch.zeros((), requires_grad=True)
    x = torch.tensor([0.234, -0.555, 20.0, -20.0])
    step = learned_step(start, change, elements=4, largest=127.0)
    (count(x * (1.0 / step), INT8) * step).sum().backward()  # type: ignore[no-untyped-call]
    by_hand = (2 - 2.34) + (-6 + 5.55) + 127 - 128
    # In the logarithm the gradient is that of the step times the step.
    assert change.grad is not None
    assert float(change.grad) == pytest.approx(by_hand * 0.1 / np.sqrt(4 * 127.0), rel=1e-4)


def test_every_weight_and_every_step_gets_a_gradient(any_cell: Example) -> None:
    twin = QuantizedTwin.of(any_cell.checkpoint.parameters, any_cell.decoder)
    outputs, _ = twin.run(torch.from_numpy(any_cell.frames[None, :64]), twin.initial_states(1))
    outputs.square().mean().backward()  # type: ignore[no-untyped-call]
    for name, parameter in twin.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        assert bool(parameter.grad.abs().sum() > 0), name
