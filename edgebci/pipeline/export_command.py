"""`edgebci export`: from a checkpoint to a verified bundle for one target."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgebci.bundle import Bundle, open_bundle
from edgebci.checkpoint import Checkpoint, load_checkpoint
from edgebci.errors import InputError
from edgebci.export.arithmetic_choice import require_arithmetic
from edgebci.export.bundle_writer import export_bundle
from edgebci.export.decoder_forms import Wanted
from edgebci.export.quantization import quantize
from edgebci.export.settling import check_settled
from edgebci.export.single_reference import SingleDecoder
from edgebci.export.step_runner import OnnxStepRunner
from edgebci.files import replacing_folder
from edgebci.frame_stream import FrameStream
from edgebci.integer_decoder import IntegerDecoder
from edgebci.metrics import F64
from edgebci.pipeline.checkpoint_kind import kind_of
from edgebci.pipeline.export_frames import ExportFrames, find_frames
from edgebci.pipeline.export_order import ExportOrder, ExportResult
from edgebci.pipeline.export_result import foreign_result, frames_result, notes_of_target
from edgebci.pipeline.export_scoring import C_FORM, INT8_ARITHMETIC, LOSS_MARGIN, TENSORRT_FORM, TestTruth, score_forms
from edgebci.pipeline.export_spikes import export_spikes
from edgebci.pipeline.exporting import FLOAT_FORM
from edgebci.pipeline.precision_command import search_frames
from edgebci.pipeline.precision_frontier import FRONTIER_JSON, FRONTIER_SVG
from edgebci.pipeline.quantization_aware import quantize_in_training
from edgebci.progress import Progress, part
from edgebci.quantized_decoder import QuantizedDecoder
from edgebci.targets import Target, precision_for, target


def export(order: ExportOrder, progress: Progress) -> ExportResult:
    """Write one bundle.

    Raises:
        InputError: what was given is no checkpoint, has no frames, or the target cannot take it.
        VerificationError: an exported form does not compute what it should; nothing is written.
    """
    goal, kind = target(order.target), kind_of(order.model)
    _require_frames(order, kind)
    if kind == "foreign":
        return _with_host_note(goal, _export_foreign(order, progress))
    precision_for(goal, order.precision)
    exporter = export_spikes if kind == "spikes" else _export_frames
    return _with_host_note(goal, exporter(order, progress))


def _require_frames(order: ExportOrder, kind: str) -> None:
    recipe = order.recipe
    if kind != "frames" and (recipe.arithmetic, recipe.front_end) != ("int8", "float32"):
        what = "decodes spikes" if kind == "spikes" else "was made elsewhere"
        raise InputError(
            f"{order.model} {what}, and fixed-point arithmetic is there for Mamba-2 decoders of LFP alone; leave out "
            "--arithmetic and the form of the front end"
        )


def _with_host_note(goal: Target, result: ExportResult) -> ExportResult:
    """Where both forms run on this machine, say which is faster; a time belongs into no manifest."""
    if goal.kind not in ("host", "onnxruntime") or result.precision not in ("int8", "mixed"):
        return result
    from edgebci.pipeline.bundle_on_host import host_sentence, time_bundle

    said = host_sentence(time_bundle(result.bundle, rounds=10))
    return result.model_copy(update={"notes": (*result.notes, said)}) if said else result


def _export_foreign(order: ExportOrder, progress: Progress) -> ExportResult:
    from edgebci.pipeline.foreign_export import export_foreign

    if order.calibration is None:
        raise InputError(
            f"{order.model} was made elsewhere; give --calibration with frames (T, n_inputs) of its own training data, "
            ".npy or .h5"
        )
    done = export_foreign(
        order.model, order.target, order.precision, order.calibration, order.out, order.states, order.recipe, progress
    )
    return foreign_result(done)


def _export_frames(order: ExportOrder, progress: Progress) -> ExportResult:
    goal, checkpoint = target(order.target), load_checkpoint(order.model)
    require_arithmetic(order.recipe, goal, precision_for(goal, order.precision), checkpoint.spec)
    with tempfile.TemporaryDirectory() as work:
        found = find_frames(order.model, checkpoint, order.frames, Path(work), part(progress, 0.0, 0.2))
    truth = TestTruth.of(found.stream, found.prepared)
    progress(0.2, "watching the states settle")
    seen = found.calibration
    check_settled(checkpoint.spec, checkpoint.parameters, seen.frames, seen.reset_before)
    wanted, notes = _wanted(order, checkpoint, found, part(progress, 0.2, 0.4))
    with replacing_folder(order.out) as fresh:
        bundle = export_bundle(
            fresh,
            checkpoint,
            found.prepared.front_end,
            found.calibration,
            found.stream,
            found.provenance,
            order.recipe,
            goal.name,
            part(progress, 0.4, 0.9),
            wanted=replace(wanted, rewrites=order.rewrites, loadable=order.loadable),
            same_as_training=found.same_as_training,
        )
        progress(0.9, "scoring what was written")
        compared = _in_int8(order, checkpoint, found) | forms_of(bundle, found.stream)
        bundle.with_accuracy(*score_forms(truth, compared, FLOAT_FORM, _margin(order)))
    progress(1.0, "done")
    bundle = open_bundle(order.out)
    return frames_result(bundle, (*_notes(found), *notes, *_front_end_notes(bundle), *notes_of_target(goal, order.out)))


def _in_int8(order: ExportOrder, checkpoint: Checkpoint, found: ExportFrames) -> dict[str, Callable[[], F64]]:
    """What a decoder in fixed point is shown beside: the same weights in int8, as they would be shipped."""
    if order.recipe.arithmetic == "int8":
        return {}
    seen, test = found.calibration, found.stream

    def decoded() -> F64:
        decoder = quantize(checkpoint.spec, checkpoint.parameters, seen.frames, order.recipe, seen.reset_before)
        return decoder.stream(test.frames, test.reset_before).astype(np.float64)

    return {INT8_ARITHMETIC: decoded}


def _front_end_notes(bundle: Bundle) -> tuple[str, ...]:
    agreement = bundle.manifest.front_end_agreement
    if agreement is None:
        return ()
    return (
        f"the front end is in fixed point: at most {agreement.largest_error:.2g} from the feature reference over "
        f"{agreement.frames:,} frames (logarithm of a band's power, allowed {agreement.bound:g}); the accuracy above "
        "is that on the reference's frames",
    )


def _wanted(
    order: ExportOrder, checkpoint: Checkpoint, found: ExportFrames, progress: Progress
) -> tuple[Wanted, tuple[str, ...]]:
    """Precision and how to get there, and what there is to say of it."""
    precision = precision_for(target(order.target), order.precision)
    learned = QuantizedDecoder.load(order.quantized) if order.quantized else None
    recipe, notes, documents = order.recipe, list[str](), dict[str, str]()
    if precision == "mixed" and learned is None:
        frontier = search_frames(checkpoint, found, order.max_loss, progress)
        recipe = recipe.model_copy(update={"widths": frontier.chosen.widths})
        documents = {FRONTIER_JSON: frontier.model_dump_json(indent=1) + "\n", FRONTIER_SVG: frontier.svg()}
        notes.append(frontier.sentence())
    if order.quantization_aware is not None and precision in ("int8", "mixed"):
        file = order.out.with_name(f"{order.out.name}.qat") / "decoder.safetensors"
        data = found.prepared.data
        learned = quantize_in_training(data, checkpoint, file, order.quantization_aware, recipe, progress).decoder
        notes.append(f"trained in the integers; float weights and integers of that training are in {file.parent}")
    return Wanted(
        precision, recipe, learned, documents, holds_int8_rule=precision == "int8" and recipe.arithmetic == "int8"
    ), tuple(notes)


def _margin(order: ExportOrder) -> float:
    """What a loss is judged against: what the user allows mixed precision, else what quantization may cost."""
    return order.max_loss if order.precision == "mixed" else LOSS_MARGIN


def forms_of(bundle: Bundle, stream: FrameStream) -> dict[str, Callable[[], F64]]:
    """How each form of a bundle decodes a stream (K, D), the one that runs on the target last."""
    frames, resets = stream.frames, stream.reset_before

    def graph(path: Path) -> Callable[[], F64]:
        return lambda: OnnxStepRunner(path).stream(frames, resets).astype(np.float64)

    forms = {FLOAT_FORM: graph(bundle.float_onnx)}
    if target(bundle.manifest.target).kind == "jetson":
        forms[TENSORRT_FORM] = graph(bundle.folder / "jetson" / "decoder.onnx")
    elif bundle.manifest.precision != "fp32":
        arithmetic = " weights in fixed point" if bundle.manifest.arithmetic == "fixed" else ""
        forms[f"ONNX {bundle.manifest.precision}{arithmetic}"] = graph(bundle.shipped_onnx)
    if target(bundle.manifest.target).core is not None:
        forms[C_FORM] = lambda: _reference_of_c(bundle).stream(frames, resets).astype(np.float64)
    return forms


def _reference_of_c(bundle: Bundle) -> IntegerDecoder | SingleDecoder:
    """What the C of a bundle equals bit for bit."""
    return SingleDecoder.load(bundle.float_onnx) if bundle.manifest.precision == "fp32" else bundle.quantized_decoder()


def _notes(found: ExportFrames) -> tuple[str, ...]:
    if found.same_as_training:
        return ()
    return ("the checkpoint was trained on other frames: whether it knows the test frames cannot be told",)
