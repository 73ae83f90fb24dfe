"""From a trained checkpoint to a bundle: quantize, build the graphs, prove them, and only then write them and the C."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import onnx

from edgebci import __version__
from edgebci.agreement import FloatAgreement, QuantizedAgreement
from edgebci.bill_of_materials import Component, bill_of_materials
from edgebci.bundle import (
    FIRMWARE,
    FLOAT_ONNX,
    INT8_ONNX,
    QUANTIZED,
    SBOM,
    Bundle,
    CalibrationRecord,
    Manifest,
    Provenance,
    TensorRecord,
    file_records,
    open_bundle,
    write_parameters,
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
from edgebci.files import replacing_folder, write_text
from edgebci.frame_stream import FrameStream
from edgebci.parameters import (
    Tensors,
    float_readout_tensors,
    normalization_tensors,
    quantized_readout_tensors,
)
from edgebci.progress import Progress, part, silent
from edgebci.quantized_decoder import QuantizedDecoder
from edgebci.targets import Precision, Target, precision_for
from edgebci.targets import target as find_target
from edgebci.workload import workload

DEFAULT_TARGET = "cortex-m4f"


@dataclass(frozen=True)
class _Verified:
    """Every form of one decoder, and how they agree; quantized ones are None where the precision has none."""

    float_graph: onnx.ModelProto
    float_agreement: FloatAgreement
    quantized: QuantizedDecoder | None = None
    quantized_graph: onnx.ModelProto | None = None
    quantized_agreement: QuantizedAgreement | None = None


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
    precision: Precision | None = None,
    same_as_training: bool = True,
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
        target: name of what it is for (`edgebci.targets`).
        progress: told how far it is.
        precision: None takes the target's own.
        same_as_training: whether the checkpoint was trained on these very calibration frames.

    Raises:
        InputError: checkpoint and front end do not belong together, the target cannot be had in that precision, or
            the folder cannot be written.
        VerificationError: a graph does not compute what its reference computes; nothing is written.
    """
    wanted = find_target(target)
    chosen, used = precision_for(wanted, precision), recipe or QuantizationRecipe()
    _check_match(checkpoint.spec, front_end)
    forms = _verified(checkpoint, calibration, stream, used, chosen, part(progress, 0.0, 0.9))
    progress(0.9, "writing the bundle")
    with replacing_folder(folder) as fresh:
        _write_forms(fresh, forms, front_end, wanted)
        _write_bill(fresh, wanted, chosen, provenance)
        manifest = _manifest(fresh, checkpoint, front_end, forms, used, provenance).model_copy(
            update={
                "target": wanted.name,
                "precision": chosen,
                "calibration": CalibrationRecord.of(calibration, same_as_training) if forms.quantized else None,
            }
        )
        write_parameters(fresh, manifest, _parameters(checkpoint, front_end, forms))
    progress(1.0, "bundle written")
    return open_bundle(folder)


def _verified(
    checkpoint: Checkpoint,
    calibration: FrameStream,
    stream: FrameStream,
    recipe: QuantizationRecipe,
    precision: Precision,
    progress: Progress,
) -> _Verified:
    spec, parameters, frames, resets = checkpoint.spec, checkpoint.parameters, stream.frames, stream.reset_before
    float_graph = float_step_graph(spec, parameters)
    if precision not in ("int8", "mixed"):
        return _Verified(float_graph, verify_float(float_graph, spec, parameters, frames, resets, progress=progress))
    progress(0.0, "quantizing")
    quantized = quantize(spec, parameters, calibration.frames, recipe, calibration.reset_before)
    quantized_graph = quantized_step_graph(quantized)
    first, second = part(progress, 0.1, 0.4), part(progress, 0.4, 1.0)
    float_agreement = verify_float(float_graph, spec, parameters, frames, resets, progress=first)
    agreement = verify_quantized(quantized_graph, quantized, frames, resets, stream.truth, stream.scored, second)
    return _Verified(float_graph, float_agreement, quantized, quantized_graph, agreement)


def _write_forms(folder: Path, forms: _Verified, front_end: FrontEnd, target: Target) -> None:
    (folder / FLOAT_ONNX).write_bytes(forms.float_graph.SerializeToString(deterministic=True))
    front_end.save(folder)
    if forms.quantized is not None and forms.quantized_graph is not None:
        (folder / INT8_ONNX).write_bytes(forms.quantized_graph.SerializeToString(deterministic=True))
        forms.quantized.save(folder / QUANTIZED)
    if target.core is not None:
        generate(folder / INT8_ONNX, front_end, folder / FIRMWARE, target.core)


def _write_bill(folder: Path, target: Target, precision: Precision, provenance: Provenance) -> None:
    subject = Component(
        type="firmware" if target.core else "machine-learning-model", name=f"decoder for {target.name} in {precision}"
    )
    bill = bill_of_materials(subject, provenance.checkpoint_sha256, provenance.recording, provenance.recording_sha256)
    write_text(folder / SBOM, bill.to_json())


def _parameters(checkpoint: Checkpoint, front_end: FrontEnd, forms: _Verified) -> Tensors:
    if forms.quantized is None:
        return normalization_tensors(front_end) | float_readout_tensors(checkpoint.parameters)
    return normalization_tensors(front_end) | quantized_readout_tensors(forms.quantized.readout)


def _manifest(
    folder: Path,
    checkpoint: Checkpoint,
    front_end: FrontEnd,
    forms: _Verified,
    recipe: QuantizationRecipe,
    provenance: Provenance,
) -> Manifest:
    inputs, outputs = _interface(checkpoint.spec, forms.quantized)
    return Manifest(
        versions={"edgebci": __version__}
        | {name: version(name) for name in ("numpy", "onnx", "onnx-ir", "onnxruntime", "safetensors")},
        spec=checkpoint.spec,
        features=front_end.spec,
        n_channels=front_end.n_channels,
        inputs=inputs,
        outputs=outputs,
        workload=workload(checkpoint.spec),
        quantization=recipe.model_dump(mode="json") if forms.quantized else None,
        training=checkpoint.training,
        provenance=provenance,
        float_agreement=forms.float_agreement,
        quantized_agreement=forms.quantized_agreement,
        files=file_records(folder),
    )


def _interface(
    spec: DecoderSpec, quantized: QuantizedDecoder | None
) -> tuple[tuple[TensorRecord, ...], tuple[TensorRecord, ...]]:
    frame = TensorRecord(name="frame", shape=(spec.n_inputs,), quantized_type="float32")
    output = TensorRecord(name="output", shape=(spec.n_outputs,), quantized_type="float32")
    types = spec.state_types() if quantized else dict.fromkeys(spec.state_shapes(), "float32")
    states = [
        TensorRecord.model_validate({"name": name, "shape": shape, "quantized_type": types[name]})
        for name, shape in spec.state_shapes().items()
    ]
    following = [state.model_copy(update={"name": f"{state.name}.next"}) for state in states]
    return (frame, *states), (output, *following)


def _check_match(spec: DecoderSpec, front_end: FrontEnd) -> None:
    if spec.n_inputs != front_end.n_features:
        raise InputError(
            f"the front end gives {front_end.n_features} features of {front_end.n_channels} channels but the decoder "
            f"takes {spec.n_inputs}; give the front end that the decoder was trained on"
        )
