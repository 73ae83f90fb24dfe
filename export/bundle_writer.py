"""From a trained checkpoint to a bundle: quantize, build the graphs, prove them, and only then write them and the C."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import onnx

from edgebci import __version__
from edgebci.agreement import FloatAgreement, QuantizedAgreement
from edgebci.bundle import (
    FIRMWARE,
    FLOAT_ONNX,
    INT8_ONNX,
    QUANTIZED,
    Bundle,
    Manifest,
    Provenance,
    TensorRecord,
    file_records,
    open_bundle,
    write_manifest,
)
from edgebci.checkpoint import Checkpoint
from edgebci.decoder_spec import DecoderSpec
from edgebci.errors import InputError
from edgebci.export.c_generator import generate
from edgebci.export.calibration import QuantizationRecipe
from edgebci.export.quantization import quantize
from edgebci.export.quantized_graph import quantized_step_graph
from edgebci.export.step_graph import float_step_graph
from edgebci.export.verification import verify_float, verify_quantized
from edgebci.features.front_end import FrontEnd
from edgebci.files import replacing_folder
from edgebci.frame_stream import FrameStream
from edgebci.progress import Progress, part, silent
from edgebci.quantized_decoder import QuantizedDecoder
from edgebci.workload import workload

DEFAULT_TARGET = "cortex-m4f"


@dataclass(frozen=True)
class _Verified:
    """Every form of one decoder, and how they agree."""

    float_graph: onnx.ModelProto
    quantized: QuantizedDecoder
    quantized_graph: onnx.ModelProto
    float_agreement: FloatAgreement
    quantized_agreement: QuantizedAgreement


def export_bundle(
    folder: Path,
    checkpoint: Checkpoint,
    front_end: FrontEnd,
    calibration: FrameStream,
    stream: FrameStream,
    provenance: Provenance,
    recipe: QuantizationRecipe | None = None,
    target: str = DEFAULT_TARGET,
    progress: Progress = silent,
) -> Bundle:
    """Write a bundle into `folder`, in place of one that stood there.

    Args:
        folder: where.
        checkpoint: the trained decoder.
        front_end: the features that it was trained on.
        calibration: training frames, from which the quantizer takes its scales.
        stream: the frames over which every form is verified, usually the test interval.
        provenance: what the figures rest on.
        recipe: of quantization; None takes the defaults.
        target: the core that the C is for.
        progress: told how far it is.

    Raises:
        InputError: checkpoint and front end do not belong together, or the folder cannot be written.
        VerificationError: a graph does not compute what its reference computes; nothing is written.
    """
    recipe = recipe or QuantizationRecipe()
    _check_match(checkpoint.spec, front_end)
    forms = _verified(checkpoint, calibration, stream, recipe, part(progress, 0.0, 0.9))
    progress(0.9, "writing the bundle")
    with replacing_folder(folder) as fresh:
        _write_forms(fresh, forms, front_end, target)
        write_manifest(fresh, _manifest(fresh, checkpoint, front_end, forms, recipe, provenance))
    progress(1.0, "bundle written")
    return open_bundle(folder)


def _verified(
    checkpoint: Checkpoint,
    calibration: FrameStream,
    stream: FrameStream,
    recipe: QuantizationRecipe,
    progress: Progress,
) -> _Verified:
    spec, parameters = checkpoint.spec, checkpoint.parameters
    progress(0.0, "quantizing")
    quantized = quantize(spec, parameters, calibration.frames, recipe, calibration.reset_before)
    float_graph, quantized_graph = float_step_graph(spec, parameters), quantized_step_graph(quantized)
    frames, resets = stream.frames, stream.reset_before
    first, second = part(progress, 0.1, 0.4), part(progress, 0.4, 1.0)
    float_agreement = verify_float(float_graph, spec, parameters, frames, resets, progress=first)
    agreement = verify_quantized(quantized_graph, quantized, frames, resets, stream.truth, stream.scored, second)
    return _Verified(float_graph, quantized, quantized_graph, float_agreement, agreement)


def _write_forms(folder: Path, forms: _Verified, front_end: FrontEnd, target: str) -> None:
    (folder / FLOAT_ONNX).write_bytes(forms.float_graph.SerializeToString(deterministic=True))
    (folder / INT8_ONNX).write_bytes(forms.quantized_graph.SerializeToString(deterministic=True))
    forms.quantized.save(folder / QUANTIZED)
    front_end.save(folder)
    generate(folder / INT8_ONNX, front_end, folder / FIRMWARE, target)


def _manifest(
    folder: Path,
    checkpoint: Checkpoint,
    front_end: FrontEnd,
    forms: _Verified,
    recipe: QuantizationRecipe,
    provenance: Provenance,
) -> Manifest:
    inputs, outputs = _interface(checkpoint.spec)
    return Manifest(
        versions={"edgebci": __version__}
        | {name: version(name) for name in ("numpy", "onnx", "onnx-ir", "onnxruntime", "safetensors")},
        spec=checkpoint.spec,
        features=front_end.spec,
        n_channels=front_end.n_channels,
        inputs=inputs,
        outputs=outputs,
        workload=workload(checkpoint.spec),
        quantization=recipe.model_dump(),
        training=checkpoint.training,
        provenance=provenance,
        float_agreement=forms.float_agreement,
        quantized_agreement=forms.quantized_agreement,
        files=file_records(folder),
    )


def _interface(spec: DecoderSpec) -> tuple[tuple[TensorRecord, ...], tuple[TensorRecord, ...]]:
    frame = TensorRecord(name="frame", shape=(spec.n_inputs,), quantized_type="float32")
    output = TensorRecord(name="output", shape=(spec.n_outputs,), quantized_type="float32")
    types = spec.state_types()
    states = [TensorRecord(name=n, shape=s, quantized_type=types[n]) for n, s in spec.state_shapes().items()]
    following = [state.model_copy(update={"name": f"{state.name}.next"}) for state in states]
    return (frame, *states), (output, *following)


def _check_match(spec: DecoderSpec, front_end: FrontEnd) -> None:
    if spec.n_inputs != front_end.n_features:
        raise InputError(
            f"the front end gives {front_end.n_features} features of {front_end.n_channels} channels but the decoder "
            f"takes {spec.n_inputs}; give the front end that the decoder was trained on"
        )
