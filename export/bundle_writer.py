"""From a trained checkpoint to a bundle: quantize, build the graphs, prove them, and only then write them and the C."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from pydantic import JsonValue

from edgebci import __version__
from edgebci.agreement import FrontEndAgreement
from edgebci.bill_of_materials import Component, bill_of_materials
from edgebci.bundle import (
    FLOAT_ONNX,
    HALF_ONNX,
    INT8_ONNX,
    QUANTIZED,
    SBOM,
    Bundle,
    BundleFiles,
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
from edgebci.export.arithmetic_choice import require_arithmetic
from edgebci.export.calibration import QuantizationRecipe
from edgebci.export.decoder_forms import Forms, Wanted, verified_forms
from edgebci.export.front_end_verification import verify_front_end
from edgebci.export.target_files import write_target_files
from edgebci.features.front_end import FrontEnd
from edgebci.files import replacing_folder, write_text
from edgebci.frame_stream import FrameStream
from edgebci.integer_decoder import IntegerDecoder
from edgebci.parameter_block import ParameterBlock
from edgebci.parameters import (
    Tensors,
    float_readout_tensors,
    normalization_tensors,
    quantized_readout_tensors,
)
from edgebci.progress import Progress, part, silent
from edgebci.targets import Precision, Target, precision_for
from edgebci.targets import target as find_target
from edgebci.workload import Workload, workload

DEFAULT_TARGET = "cortex-m4f"


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
    *,
    wanted: Wanted | None = None,
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
        wanted: precision and all that belongs to it; None: the target's own precision by `recipe`.
        same_as_training: whether the checkpoint was trained on these very calibration frames.

    Raises:
        InputError: checkpoint and front end do not belong together, the target cannot be had in that precision, or
            the folder cannot be written.
        VerificationError: a graph does not compute what its reference computes; nothing is written.
    """
    goal = find_target(target)
    wanted = wanted or Wanted(goal.default_precision, recipe or QuantizationRecipe())
    precision = precision_for(goal, wanted.precision)
    _check_match(checkpoint.spec, front_end)
    require_arithmetic(wanted.recipe, goal, precision, checkpoint.spec)
    front_end_agreement = verify_front_end(front_end) if wanted.recipe.front_end == "fixed" else None
    forms = verified_forms(checkpoint, calibration, stream, wanted, part(progress, 0.0, 0.9))
    progress(0.9, "writing the bundle")
    with replacing_folder(folder) as fresh:
        _write_graphs(fresh, forms, front_end)
        _write_documents(fresh, wanted.documents)
        _write_bill(fresh, goal, precision, provenance)
        tensors = _parameters(checkpoint, front_end, forms)
        # The C may hold the bundle's id, which is that of the files so far.
        block = ParameterBlock(BundleFiles(files=file_records(fresh)).bundle_id, tensors)
        files = write_target_files(fresh, forms, checkpoint, front_end, goal, wanted, stream, block)
        about = {
            **_choices(wanted, goal, precision, front_end_agreement),
            "calibration": CalibrationRecord.of(calibration, same_as_training) if forms.quantized else None,
            "target_record": files.record,
            "int8_share": files.int8_share,
        }
        manifest = _manifest(fresh, checkpoint, front_end, forms, wanted, provenance).model_copy(update=about)
        write_parameters(fresh, manifest, tensors)
    progress(1.0, "bundle written")
    return open_bundle(folder)


def _choices(
    wanted: Wanted, goal: Target, precision: Precision, agreement: FrontEndAgreement | None
) -> dict[str, object]:
    """What the manifest says was chosen."""
    recipe = wanted.recipe
    return {
        "target": goal.name,
        "precision": precision,
        "arithmetic": recipe.arithmetic,
        "front_end": recipe.front_end,
        "front_end_agreement": agreement,
    }


def _write_documents(folder: Path, documents: Mapping[str, str]) -> None:
    for name, text in documents.items():
        write_text(folder / name, text)


def _write_graphs(folder: Path, forms: Forms, front_end: FrontEnd) -> None:
    graphs = {FLOAT_ONNX: forms.float_graph, HALF_ONNX: forms.half_graph, INT8_ONNX: forms.quantized_graph}
    for name, graph in graphs.items():
        if graph is not None:
            (folder / name).write_bytes(graph.SerializeToString(deterministic=True))
    if forms.quantized is not None:
        forms.quantized.save(folder / QUANTIZED)
    front_end.save(folder)


def _write_bill(folder: Path, target: Target, precision: Precision, provenance: Provenance) -> None:
    subject = Component(
        type="firmware" if target.core else "machine-learning-model", name=f"decoder for {target.name} in {precision}"
    )
    bill = bill_of_materials(subject, provenance.checkpoint_sha256, provenance.recording, provenance.recording_sha256)
    write_text(folder / SBOM, bill.to_json())


def _parameters(checkpoint: Checkpoint, front_end: FrontEnd, forms: Forms) -> Tensors:
    if forms.quantized is None:
        return normalization_tensors(front_end) | float_readout_tensors(checkpoint.parameters)
    return normalization_tensors(front_end) | quantized_readout_tensors(forms.quantized.readout)


def _manifest(
    folder: Path,
    checkpoint: Checkpoint,
    front_end: FrontEnd,
    forms: Forms,
    wanted: Wanted,
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
        workload=_workload(checkpoint, wanted.precision, forms.quantized),
        quantization=_quantization(wanted) if forms.quantized else None,
        training=checkpoint.training,
        provenance=provenance,
        float_agreement=forms.float_agreement,
        half_agreement=forms.half_agreement,
        quantized_agreement=forms.quantized_agreement,
        files=file_records(folder),
    )


def _workload(checkpoint: Checkpoint, precision: Precision, quantized: IntegerDecoder | None) -> Workload:
    """Counts by the sizes, bytes by the widths that the tensors really have: two weights of 4 bits share a byte."""
    counted, width = workload(checkpoint.spec), 2 if precision == "fp16" else 4
    if quantized is None:
        weights = width * sum(values.size for values in checkpoint.parameters.values())
        states = 4 * sum(math.prod(shape) for shape in checkpoint.spec.state_shapes().values())
        return counted.model_copy(update={"weight_bytes": weights, "state_bytes": states})
    narrow = [values for name, values in quantized.tensors().items() if name.endswith(".weight_int4")]
    saved = sum(values.size - len(values) * -(-values.shape[1] // 2) for values in narrow)
    weights = sum(values.nbytes for values in quantized.tensors().values()) - saved
    states = sum(state.nbytes for state in quantized.initial_states().values())
    return counted.model_copy(update={"weight_bytes": weights, "state_bytes": states})


def _quantization(wanted: Wanted) -> dict[str, JsonValue]:
    return {"learned": True} if wanted.learned else wanted.recipe.model_dump(mode="json")


def _interface(
    spec: DecoderSpec, quantized: IntegerDecoder | None
) -> tuple[tuple[TensorRecord, ...], tuple[TensorRecord, ...]]:
    frame = TensorRecord(name="frame", shape=(spec.n_inputs,), quantized_type="float32")
    output = TensorRecord(name="output", shape=(spec.n_outputs,), quantized_type="float32")
    shapes: dict[str, tuple[int, ...]] = dict(spec.state_shapes())
    if quantized:
        shapes = {name: values.shape for name, values in quantized.initial_states().items()}
    types = quantized.state_types() if quantized else dict.fromkeys(shapes, "float32")
    states = [
        TensorRecord.model_validate({"name": name, "shape": shape, "quantized_type": types[name]})
        for name, shape in shapes.items()
    ]
    following = [state.model_copy(update={"name": f"{state.name}.next"}) for state in states]
    return (frame, *states), (output, *following)


def _check_match(spec: DecoderSpec, front_end: FrontEnd) -> None:
    if spec.n_inputs != front_end.n_features:
        raise InputError(
            f"the front end gives {front_end.n_features} features of {front_end.n_channels} channels but the decoder "
            f"takes {spec.n_inputs}; give the front end that the decoder was trained on"
        )
