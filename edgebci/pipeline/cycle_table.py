"""Cycles of dense layers and states in each width, measured once on the emulated core and kept in a file.

`edgebci precision cycles` measures it again: small decoders in every width are generated, compiled and run, and the
cycles of each kernel are divided by what it computed. Dense layers are fitted as cycles = a MACs + b rows + c columns
over several shapes, none of them negative, by least squares with relative weights; what the fit leaves is kept with the
figures. Instructions are counted, cycles are modelled at zero wait states: see `edgebci.firmware_sim.cycles`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from scipy.optimize import nnls

from edgebci.decoder_spec import DecoderSpec
from edgebci.documents import Document, load_toml
from edgebci.errors import InputError
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.c_generator import generate
from edgebci.export.calibration import QuantizationRecipe, Width
from edgebci.export.quantization import quantize
from edgebci.export.quantized_graph import quantized_step_graph
from edgebci.export.widths import dense_names, state_names, uniform
from edgebci.features.cases import front_end_case
from edgebci.firmware_sim.target_run import run_on_target
from edgebci.firmware_sim.toolchain import compile_target
from edgebci.hardware import Core
from edgebci.operators.cells import CellKind
from edgebci.progress import Progress, silent

SHIPPED = Path(__file__).parent / "cycles_per_mac.toml"
N_FRAMES = 30
_CASE = "clean"
_CELLS: tuple[CellKind, ...] = ("mamba2", "s4d", "gru")
_D_MODELS = (32, 64)


class DenseCycles(Document):
    """Cycles of one width of weights: per MAC, row and column, and the largest relative error of all together."""

    bits: Width
    per_mac: float
    per_row: float
    per_column: float
    largest_error: float


class StateCycles(Document):
    """Cycles per element of a state in one width: all that the kernel does to advance and read it."""

    cell: CellKind
    bits: Width
    per_element: float


class CycleTable(Document):
    """What widths cost on a core; every combination is there."""

    schema_version: Literal["edgebci.cycles_per_mac/1"] = "edgebci.cycles_per_mac/1"
    core: Core
    evidence: str
    command: str
    dense: tuple[DenseCycles, ...]
    states: tuple[StateCycles, ...]

    def dense_cycles(self, rows: int, columns: int, bits: Width) -> float:
        """Of one dense layer."""
        found = next(row for row in self.dense if row.bits == bits)
        return found.per_mac * rows * columns + found.per_row * rows + found.per_column * columns

    def state_cycles(self, cell: CellKind, elements: int, bits: Width) -> float:
        """Of advancing and reading one state."""
        return elements * next(row.per_element for row in self.states if (row.cell, row.bits) == (cell, bits))

    def toml(self) -> str:
        """The file that `load_cycle_table` reads."""
        head = [f"{name} = {_toml(getattr(self, name))}" for name in ("schema_version", "core", "evidence", "command")]
        tables = [f"[[dense]]\n{_lines(row)}" for row in self.dense]
        tables += [f"[[states]]\n{_lines(row)}" for row in self.states]
        return "\n\n".join(["\n".join(head), *tables]) + "\n"


def load_cycle_table(core: str, path: Path = SHIPPED) -> CycleTable:
    """Read the table of a core.

    Raises:
        InputError: there is none for that core, or the file is no such table.
    """
    table = load_toml(path, CycleTable)
    if table.core != core:
        raise InputError(
            f"{path} holds cycles of {table.core}, needed are those of {core}; measure them: edgebci precision cycles"
        )
    return table


@dataclass(frozen=True)
class _Seen:
    """Cycles per step of one kernel in one program, over all layers that it serves."""

    bits: Width
    rows: int
    columns: int
    macs: int
    cycles: float


def measure_cycle_table(core: Core = "cortex-m4f", progress: Progress = silent) -> CycleTable:
    """Generate, compile and emulate decoders of every width, and divide.

    Raises:
        InputError: the compiler is missing. VerificationError: a program faulted.
    """
    dense: list[_Seen] = []
    states: dict[tuple[CellKind, Width], tuple[float, int]] = {}
    widths: tuple[tuple[Width, Width], ...] = ((8, 16), (4, 8), (16, 16))
    runs = [(cell, d_model, pair) for cell in _CELLS for d_model in _D_MODELS for pair in widths]
    for k, (cell, d_model, (weights, bits)) in enumerate(runs):
        progress(k / len(runs), f"{cell}, d_model {d_model}, int{weights} weights")
        spec = _spec(cell, d_model)
        cycles = _function_cycles(spec, uniform(spec, weights, bits), core)
        dense += _dense_seen(spec, weights, cycles)
        elements = int(np.prod(spec.state_shapes()[state_names(spec)[0]]))
        states[cell, bits] = (_state_function_cycles(cell, cycles), elements)
    return CycleTable(
        core=core,
        evidence=f"instructions counted, cycles modelled at zero wait states, over {N_FRAMES} steps of random decoders",
        command="edgebci precision cycles",
        dense=tuple(_fitted(bits, [one for one in dense if one.bits == bits]) for bits in (4, 8, 16)),
        states=tuple(
            StateCycles(cell=cell, bits=bits, per_element=round(total / elements, 3))
            for (cell, bits), (total, elements) in sorted(states.items())
        ),
    )


def _spec(cell: CellKind, d_model: int) -> DecoderSpec:
    n_inputs = front_end_case(_CASE).front_end.n_features
    return DecoderSpec(
        n_inputs=n_inputs, output_names=("x", "y"), output_unit="1", d_model=d_model, n_layers=1, cell=cell
    )


def _function_cycles(spec: DecoderSpec, widths: dict[str, Width], core: Core) -> dict[str, float]:
    """Cycles per step of each function of the program, without those that it calls."""
    case = front_end_case(_CASE)
    recipe = QuantizationRecipe(widths=widths)
    decoder = quantize(spec, random_parameters(spec, 1), random_frames(spec, 500, 2), recipe)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        onnx.save(quantized_step_graph(decoder), folder / "decoder_int8.onnx")
        generate(folder / "decoder_int8.onnx", case.front_end, folder / "firmware", core)
        elf = compile_target(folder / "firmware", folder / "firmware.elf", core)
        step = case.front_end.spec.samples_per_frame
        counts = case.counts[: N_FRAMES * step]
        run = run_on_target(elf, counts, None, case.front_end.n_channels, step, spec.n_outputs)
    return {function.name: function.cycles / N_FRAMES for function in run.cycles.by_function}


def _dense_seen(spec: DecoderSpec, bits: Width, cycles: dict[str, float]) -> list[_Seen]:
    """One entry for each kernel, which serves all layers of as many columns."""
    prefix = "dense" if bits == 8 else f"dense_int{bits}"
    shapes = list(dense_names(spec).values())
    found = []
    for columns in sorted({columns for _, columns in shapes}):
        rows = [r for r, c in shapes if c == columns]
        # Rows in fours are packed where the core has the instructions for it; what is left of them is not.
        kernels = [name for name in (f"{prefix}_{columns}", f"{prefix}_{columns}_packed") if name in cycles]
        assert kernels, f"no kernel of {columns} columns among {sorted(cycles)}"
        taken = sum(cycles[name] for name in kernels)
        found.append(_Seen(bits, sum(rows), columns * len(rows), columns * sum(rows), taken))
    return found


def _state_function_cycles(cell: CellKind, cycles: dict[str, float]) -> float:
    """Of the kernels that touch the state."""
    inside = {"mamba2": ("mamba2_step", "_state"), "s4d": ("s4d_step", ""), "gru": ("gru_step", "")}
    start, end = inside[cell]
    return sum(taken for name, taken in cycles.items() if name.startswith(start) and name.endswith(end))


def _fitted(bits: Width, seen: Iterable[_Seen]) -> DenseCycles:
    kernels = list(seen)
    measured = np.array([one.cycles for one in kernels])
    counts = np.array([[one.macs, one.rows, one.columns] for one in kernels], np.float64)
    costs, _ = nnls(counts / measured[:, None], np.ones(len(kernels)))
    errors = np.abs(counts @ costs / measured - 1)
    return DenseCycles(
        bits=bits,
        per_mac=round(costs[0], 3),
        per_row=round(costs[1], 2),
        per_column=round(costs[2], 2),
        largest_error=round(float(errors.max()), 4),
    )


def _lines(row: Document) -> str:
    return "\n".join(f"{name} = {_toml(value)}" for name, value in row.model_dump().items())


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)
