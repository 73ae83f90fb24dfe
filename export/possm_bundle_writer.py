"""From a trained decoder of spikes to its bundle: quantize, build the graphs, prove them, then write them and the C."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from edgebci import __version__
from edgebci.bill_of_materials import Component, bill_of_materials
from edgebci.bundle import FIRMWARE, FLOAT_ONNX, HALF_ONNX, INT8_ONNX, QUANTIZED, SBOM, file_records, write_manifest
from edgebci.export.c_program import TARGETS
from edgebci.export.c_spikes import generate_spike_program
from edgebci.export.calibration import QuantizationRecipe
from edgebci.export.possm_forms import PossmForms, verified_possm_forms
from edgebci.export.target_files import TargetFiles, write_jetson_files, write_runtime_files
from edgebci.files import replacing_folder, sha256, write_text
from edgebci.possm_bundle import PossmBundle, PossmManifest, open_possm_bundle
from edgebci.possm_quantized import QuantizedPossmStep
from edgebci.possm_spec import PossmCheckpoint, load_possm_step
from edgebci.possm_stream import ChunkStream, FloatPossmStream
from edgebci.progress import Progress, part, silent
from edgebci.targets import Precision, Target, precision_for
from edgebci.targets import target as find_target


def export_possm_bundle(
    folder: Path,
    step: Path,
    calibration: ChunkStream,
    stream: ChunkStream,
    recipe: QuantizationRecipe | None = None,
    core: str = TARGETS[0],
    progress: Progress = silent,
    target: str | None = None,
    precision: Precision | None = None,
    documents: Mapping[str, str] | None = None,
    learned: QuantizedPossmStep | None = None,
) -> PossmBundle:
    """Write a bundle into `folder`, in place of one that stood there.

    Args:
        folder: where.
        step: the file of the trained step (`edgebci.possm_spec.save_possm_step`).
        calibration: training chunks, from which the quantizer takes its scales.
        stream: the chunks over which every form is verified, usually the test part.
        recipe: of quantization; None takes the defaults.
        core: the core that the C is for, where no target is named.
        progress: told how far it is.
        target: name of what it is for (`edgebci.targets`); None: the core's.
        precision: fp32, fp16, int8, or mixed, whose widths the recipe has; None: the target's own.
        documents: texts by file name that explain the choice, to lie in the bundle.
        learned: the step in integers, where it was trained in them; None: it is rounded here.

    Raises:
        InputError: the file is no step, the target cannot be had in that precision, or the folder cannot be written.
        VerificationError: a graph does not compute what its reference computes; nothing is written.
    """
    goal, recipe, checkpoint = find_target(target or core), recipe or QuantizationRecipe(), load_possm_step(step)
    wanted = precision_for(goal, precision)
    forms = verified_possm_forms(checkpoint, calibration, stream, wanted, recipe, part(progress, 0.0, 0.9), learned)
    with replacing_folder(folder) as fresh:
        _write_graphs(fresh, forms)
        for name, text in (documents or {}).items():
            write_text(fresh / name, text)
        files = _write_target_files(fresh, forms, checkpoint, stream, goal, wanted)
        _write_bill(fresh, goal, wanted, step)
        manifest = _manifest(fresh, forms, checkpoint, goal, wanted, files, sha256(step))
        used = {"quantization": recipe.model_dump()} if forms.quantized else {}
        write_manifest(fresh, manifest.model_copy(update=used))
    progress(1.0, "bundle written")
    return open_possm_bundle(folder)


def _write_graphs(folder: Path, forms: PossmForms) -> None:
    graphs = {FLOAT_ONNX: forms.float_graph, HALF_ONNX: forms.half_graph, INT8_ONNX: forms.quantized_graph}
    for name, graph in graphs.items():
        if graph is not None:
            (folder / name).write_bytes(graph.SerializeToString(deterministic=True))
    if forms.quantized is not None:
        forms.quantized.save(folder / QUANTIZED)


def _write_target_files(
    folder: Path,
    forms: PossmForms,
    checkpoint: PossmCheckpoint,
    stream: ChunkStream,
    target: Target,
    precision: Precision,
) -> TargetFiles:
    spec, chunks, resets = checkpoint.spec, stream.chunks, stream.reset_before
    if target.core is not None:
        generate_spike_program(folder / INT8_ONNX, spec, folder / FIRMWARE, target.core)
        return TargetFiles(None, forms.share)
    if target.kind == "onnxruntime":
        return TargetFiles(write_runtime_files(folder, forms.shipped, precision, chunks, resets), forms.share)
    reference = FloatPossmStream.of(spec, checkpoint.parameters)
    return write_jetson_files(folder, forms, reference, target, precision, chunks, resets, spec.chunk_s, True)


def _write_bill(folder: Path, target: Target, precision: Precision, step: Path) -> None:
    subject = Component(
        type="firmware" if target.core else "machine-learning-model",
        name=f"decoder of spikes for {target.name} in {precision}",
    )
    bill = bill_of_materials(subject, sha256(step), "the session that the checkpoint names", None)
    write_text(folder / SBOM, bill.to_json())


def _manifest(
    folder: Path,
    forms: PossmForms,
    checkpoint: PossmCheckpoint,
    target: Target,
    precision: Precision,
    files: TargetFiles,
    checkpoint_sha256: str,
) -> PossmManifest:
    weight_bytes, state_bytes = _sizes(forms, checkpoint, precision)
    return PossmManifest(
        target=target.name,
        precision=precision,
        versions={"edgebci": __version__}
        | {name: version(name) for name in ("numpy", "onnx", "onnx-ir", "onnxruntime", "safetensors")},
        spec=checkpoint.spec,
        weight_bytes=weight_bytes,
        state_bytes=state_bytes,
        int8_share=files.int8_share,
        target_record=files.record,
        training=checkpoint.training,
        checkpoint_sha256=checkpoint_sha256,
        float_agreement=forms.float_agreement,
        half_agreement=forms.half_agreement,
        quantized_agreement=forms.quantized_agreement,
        files=file_records(folder),
    )


def _sizes(forms: PossmForms, checkpoint: PossmCheckpoint, precision: Precision) -> tuple[int, int]:
    """Bytes of weights and of states, in the types that they really have."""
    if forms.quantized is not None:
        tensors, states = forms.quantized.tensors(), forms.quantized.initial_states()
        # Two weights of 4 bits share a byte.
        narrow = [values for name, values in tensors.items() if name.endswith(".weight_int4")]
        saved = sum(values.size - len(values) * -(-values.shape[1] // 2) for values in narrow)
        weights = sum(tensor.nbytes for tensor in tensors.values()) - saved
        return weights, sum(state.nbytes for state in states.values())
    width = 2 if precision == "fp16" else 4
    values = sum(tensor.size for tensor in checkpoint.parameters.values())
    return width * values, 4 * sum(math.prod(shape) for shape in checkpoint.spec.state_shapes().values())
