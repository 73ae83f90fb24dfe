"""From a trained decoder of spikes to its bundle: quantize, build the graphs, prove them, then write them and the C."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from edgebci import __version__
from edgebci.bill_of_materials import Component, bill_of_materials
from edgebci.bundle import FIRMWARE, FLOAT_ONNX, INT8_ONNX, QUANTIZED, SBOM, file_records, write_manifest
from edgebci.export.c_program import TARGETS
from edgebci.export.c_spikes import generate_spike_program
from edgebci.export.calibration import QuantizationRecipe
from edgebci.export.possm_step import float_possm_graph, quantize_possm, quantized_possm_graph
from edgebci.export.verification import verify_float_reference, verify_quantized
from edgebci.files import replacing_folder, sha256, write_text
from edgebci.possm_bundle import PossmBundle, PossmManifest, open_possm_bundle
from edgebci.possm_spec import load_possm_step
from edgebci.possm_stream import ChunkStream, FloatPossmStream
from edgebci.progress import Progress, part, silent


def export_possm_bundle(
    folder: Path,
    step: Path,
    calibration: ChunkStream,
    stream: ChunkStream,
    recipe: QuantizationRecipe | None = None,
    core: str = TARGETS[0],
    progress: Progress = silent,
    target: str | None = None,
) -> PossmBundle:
    """Write a bundle into `folder`, in place of one that stood there.

    Args:
        folder: where.
        step: the file of the trained step (`edgebci.possm_spec.save_possm_step`).
        calibration: training chunks, from which the quantizer takes its scales.
        stream: the chunks over which every form is verified, usually the test part.
        recipe: of quantization; None takes the defaults.
        core: the core that the C is for.
        progress: told how far it is.
        target: name of what it is for; None: the core's.

    Raises:
        InputError: the file is no step, or the folder cannot be written.
        VerificationError: a graph does not compute what its reference computes; nothing is written.
    """
    recipe, checkpoint = recipe or QuantizationRecipe(), load_possm_step(step)
    spec, parameters, chunks, resets = checkpoint.spec, checkpoint.parameters, stream.chunks, stream.reset_before
    progress(0.0, "quantizing")
    quantized = quantize_possm(spec, parameters, calibration.chunks, recipe, calibration.reset_before)
    float_graph, quantized_graph = float_possm_graph(spec, parameters), quantized_possm_graph(quantized)
    reference, first = FloatPossmStream.of(spec, parameters), part(progress, 0.1, 0.4)
    floating = verify_float_reference(float_graph, reference, chunks, resets, progress=first)
    second = part(progress, 0.4, 0.9)
    integers = verify_quantized(quantized_graph, quantized, chunks, resets, stream.truth, None, second)
    with replacing_folder(folder) as fresh:
        (fresh / FLOAT_ONNX).write_bytes(float_graph.SerializeToString(deterministic=True))
        (fresh / INT8_ONNX).write_bytes(quantized_graph.SerializeToString(deterministic=True))
        quantized.save(fresh / QUANTIZED)
        generate_spike_program(fresh / INT8_ONNX, spec, fresh / FIRMWARE, core)
        subject = Component(type="firmware", name=f"decoder of spikes for {target or core} in int8")
        bill = bill_of_materials(subject, sha256(step), "the session that the checkpoint names", None)
        write_text(fresh / SBOM, bill.to_json())
        manifest = PossmManifest(
            target=target or core,
            versions={"edgebci": __version__}
            | {name: version(name) for name in ("numpy", "onnx", "onnx-ir", "onnxruntime", "safetensors")},
            spec=spec,
            weight_bytes=sum(tensor.nbytes for tensor in quantized.tensors().values()),
            state_bytes=sum(state.nbytes for state in quantized.initial_states().values()),
            quantization=recipe.model_dump(),
            training=checkpoint.training,
            checkpoint_sha256=sha256(step),
            float_agreement=floating,
            quantized_agreement=integers,
            files=file_records(fresh),
        )
        write_manifest(fresh, manifest)
    progress(1.0, "bundle written")
    return open_possm_bundle(folder)
