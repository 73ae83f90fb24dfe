"""From a foreign model to its bundle: understand it, quantize it, prove every form, and only then write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx

from edgebci import __version__
from edgebci.agreement import FloatAgreement, QuantizedAgreement
from edgebci.arithmetic import F32
from edgebci.bill_of_materials import Component, bill_of_materials
from edgebci.bundle import FIRMWARE, FLOAT_ONNX, INT8_ONNX, SBOM, file_records, write_manifest
from edgebci.export.calibration import QuantizationRecipe
from edgebci.export.foreign.lowering import STANDARD, lower, state_name
from edgebci.export.foreign.quantizing import check_finite, check_frames, quantize_foreign
from edgebci.export.foreign.states import check_states
from edgebci.export.foreign.streaming import WINDOW, find_window, with_window
from edgebci.export.foreign.target_files import write_foreign_target_files
from edgebci.export.foreign.verifying import (
    Bool,
    VerificationStream,
    quantization_snr_db,
    verify_foreign_float,
    verify_foreign_quantized,
)
from edgebci.export.foreign.writing import foreign_onnx
from edgebci.files import replacing_folder, sha256, write_text
from edgebci.foreign.bundle import (
    DECODER,
    ForeignBundle,
    ForeignCalibration,
    ForeignManifest,
    OriginalModel,
    PortPlace,
    StatePlace,
    open_foreign_bundle,
)
from edgebci.foreign.decoder import ForeignDecoder
from edgebci.foreign.graph import Port
from edgebci.progress import Progress, part, silent
from edgebci.targets import Precision, Target

Prove = Callable[[Path, ForeignDecoder, VerificationStream], int]
"""Compiles the C in a folder and compares it with its reference; returns the steps, raises VerificationError."""


@dataclass(frozen=True, eq=False)
class ForeignSource:
    """What is exported: a model as `read_model` gives it, its states, and frames (T, n_inputs) in order of time."""

    path: Path
    model: onnx.ModelProto
    states: Mapping[str, str]
    frames_path: Path
    frames: F32
    reset_before: Bool | None
    frame_rate_hz: float


@dataclass(frozen=True, eq=False)
class _Forms:
    """Every form of one decoder, and how they agree; quantized ones are None in float."""

    floating: ForeignDecoder
    float_onnx: onnx.ModelProto
    float_agreement: FloatAgreement
    quantized: ForeignDecoder | None = None
    int8_onnx: onnx.ModelProto | None = None
    quantized_agreement: QuantizedAgreement | None = None
    snr_db: dict[str, float] | None = None

    @property
    def shipped(self) -> ForeignDecoder:
        """What the target runs."""
        return self.quantized or self.floating

    @property
    def graphs(self) -> dict[str, onnx.ModelProto]:
        """By the names of their files, that of the shipped form last."""
        floating = {FLOAT_ONNX: self.float_onnx}
        return floating if self.int8_onnx is None else {**floating, INT8_ONNX: self.int8_onnx}


def write_foreign_bundle(
    folder: Path,
    source: ForeignSource,
    target: Target,
    precision: Precision,
    prove: Prove,
    recipe: QuantizationRecipe | None = None,
    progress: Progress = silent,
) -> ForeignBundle:
    """Write a bundle into `folder`, in place of one that stood there.

    Args:
        folder: where.
        source: what is exported.
        target: what for.
        precision: fp32, int8, or for a Jetson fp16.
        prove: runs the C, where there is some.
        recipe: of quantization; None takes the defaults.
        progress: told how far it is.

    Raises:
        InputError: an operator, a state or the frames cannot be used.
        VerificationError: a form does not compute what it should; nothing is written.
    """
    used = recipe or QuantizationRecipe()
    stream, forms = _forms(source, precision, used, part(progress, 0.0, 0.8))
    with replacing_folder(folder) as fresh:
        _write_forms(fresh, forms)
        progress(0.8, f"writing what {target.name} needs, and proving it")
        files = write_foreign_target_files(
            fresh, forms.shipped, forms.floating, forms.graphs, target, precision, stream, 1 / source.frame_rate_hz
        )
        steps = prove(fresh / FIRMWARE, forms.shipped, stream) if target.core is not None else None
        subject = Component(
            type="firmware" if target.core else "machine-learning-model",
            name=f"decoder for {target.name} in {precision}",
        )
        frames = source.frames_path
        bill = bill_of_materials(subject, sha256(source.path), frames.name, sha256(frames))
        write_text(fresh / SBOM, bill.to_json())
        manifest = _manifest(fresh, source, target, precision, forms, used, steps)
        write_manifest(fresh, manifest.model_copy(update={"target_record": files.record, "int8_macs": files.int8_macs}))
    progress(1.0, "bundle written")
    return open_foreign_bundle(folder)


def _forms(
    source: ForeignSource, precision: Precision, recipe: QuantizationRecipe, progress: Progress
) -> tuple[VerificationStream, _Forms]:
    graph = lower(source.model, source.states, source.path.name)
    window = find_window(graph, source.frames.shape[1])
    graph = with_window(graph, window) if window else graph
    check_frames(graph, source.frames)
    check_states(source.model, dict(source.states), source.frames, window)
    stream = VerificationStream.of(source.frames, source.reset_before)
    floating, float_onnx = ForeignDecoder(graph), foreign_onnx(graph)
    with np.errstate(all="ignore"):
        check_finite(floating.stream(source.frames, source.reset_before))
    progress(0.05, "verifying the float form")
    agreement = verify_foreign_float(
        source.model, source.states, floating, float_onnx, stream, part(progress, 0.05, 0.4), window
    )
    if precision != "int8":
        return stream, _Forms(floating, float_onnx, agreement)
    progress(0.4, "quantizing")
    quantized = quantize_foreign(graph, source.frames, recipe, source.reset_before)
    int8_onnx = foreign_onnx(quantized.graph)
    integers = verify_foreign_quantized(int8_onnx, quantized, stream, part(progress, 0.5, 1.0))
    exact, rounded = (one.stream(stream.frames, stream.reset_before) for one in (floating, quantized))
    snr_db = quantization_snr_db(exact, rounded, graph.output_names)
    return stream, _Forms(floating, float_onnx, agreement, quantized, int8_onnx, integers, snr_db)


def _write_forms(folder: Path, forms: _Forms) -> None:
    for name, graph in forms.graphs.items():
        (folder / name).write_bytes(graph.SerializeToString(deterministic=True))
    forms.shipped.save(folder / DECODER)


def _manifest(
    folder: Path,
    source: ForeignSource,
    target: Target,
    precision: Precision,
    forms: _Forms,
    recipe: QuantizationRecipe,
    host_twin_steps: int | None,
) -> ForeignManifest:
    graph, model = forms.shipped.graph, source.model
    return ForeignManifest(
        versions={"edgebci": __version__}
        | {name: version(name) for name in ("numpy", "onnx", "onnx-ir", "onnxruntime", "safetensors")},
        target=target.name,
        precision=precision,
        model=OriginalModel(
            name=source.path.name,
            sha256=sha256(source.path),
            opset=next(entry.version for entry in model.opset_import if entry.domain in STANDARD),
            producer=f"{model.producer_name} {model.producer_version}".strip(),
        ),
        inputs=_places(graph.inputs),
        outputs=_places(graph.outputs),
        states=_states(source, forms),
        window_frames=next((1 + state.shape[0] for state in graph.states if state.name == WINDOW), None),
        macs=graph.macs,
        int8_macs=graph.int8_macs,
        weight_bytes=sum(values.nbytes for values in graph.constants.values()),
        state_bytes=sum(values.nbytes for values in forms.shipped.initial_states().values()),
        quantization=recipe.model_dump(mode="json") if forms.quantized else None,
        calibration=ForeignCalibration(
            name=source.frames_path.name,
            sha256=sha256(source.frames_path),
            n_frames=len(source.frames),
            frame_rate_hz=source.frame_rate_hz,
        ),
        float_agreement=forms.float_agreement,
        quantized_agreement=forms.quantized_agreement,
        quantization_snr_db=forms.snr_db,
        host_twin_steps=host_twin_steps,
        files=file_records(folder),
    )


def _places(ports: tuple[Port, ...]) -> tuple[PortPlace, ...]:
    starts = [sum(port.size for port in ports[:i]) for i in range(len(ports))]
    return tuple(PortPlace(name=p.name, shape=p.shape, start=start) for p, start in zip(ports, starts, strict=True))


def _states(source: ForeignSource, forms: _Forms) -> tuple[StatePlace, ...]:
    by_name = {state.name: state for state in forms.shipped.graph.states}
    return tuple(
        StatePlace(
            name=state.name,
            model_input=name,
            model_output=output,
            shape=state.shape,
            type=state.type,
            scale=state.scale,
        )
        for name, output in source.states.items()
        for state in [by_name[state_name(name)]]
    )
