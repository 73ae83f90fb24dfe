"""`edgebci export` of a decoder of spikes: as that of frames, with chunks of tokens."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgebci.decoding_data import Part
from edgebci.errors import InputError, MissingToolError
from edgebci.export.calibration import QuantizationRecipe
from edgebci.export.possm_bundle_writer import export_possm_bundle
from edgebci.export.step_runner import OnnxStepRunner
from edgebci.files import replacing_folder
from edgebci.metrics import F64
from edgebci.pipeline.export_frames import FrameSource
from edgebci.pipeline.export_order import ExportOrder, ExportResult
from edgebci.pipeline.export_result import notes_of_target, spikes_result
from edgebci.pipeline.export_scoring import C_FORM, LOSS_MARGIN, TENSORRT_FORM, TestTruth, score_forms
from edgebci.pipeline.exporting import FLOAT_FORM
from edgebci.pipeline.precision_frontier import FRONTIER_JSON, FRONTIER_SVG, Frontier
from edgebci.pipeline.precision_spikes import search_spikes
from edgebci.pipeline.quantization_aware import quantize_step_in_training
from edgebci.pipeline.sessions import SPIKES_NAME, load_session
from edgebci.pipeline.settling import Settling
from edgebci.possm_bundle import PossmBundle, open_possm_bundle
from edgebci.possm_quantized import QuantizedPossmStep
from edgebci.possm_spec import PossmSpec, PossmStepSpec, load_possm_step
from edgebci.possm_stream import ChunkStream, FloatPossmStream
from edgebci.progress import Progress, part
from edgebci.session import Session
from edgebci.targets import precision_for, target


def export_spikes(order: ExportOrder, progress: Progress) -> ExportResult:
    """Write the bundle of a step that `edgebci train` left; raises as `edgebci.pipeline.export_command.export` does."""
    wanted, spec = target(order.target), load_possm_step(order.model).spec
    precision = precision_for(wanted, order.precision)
    if precision == "fp32" and wanted.core is not None:
        raise InputError(
            f"decoders of spikes have no float32 C yet, asked was {wanted.name} in fp32; choose int8 or mixed, or the "
            "target cpu"
        )
    _refuse_what_spikes_have_not(order)
    session = load_session(_session_folder(order.model, order.frames))
    seen, unseen = (chunks_of(session, name, spec) for name in ("train", "test"))
    _require_settled(order.model, seen)
    recipe, documents, notes, learned = order.recipe, dict[str, str](), list[str](), None
    if precision == "mixed":
        found = search_step(order.model, order.frames, order.max_loss, part(progress, 0.0, 0.2))
        recipe, notes = recipe.model_copy(update={"widths": found.chosen.widths}), [found.sentence()]
        documents = {FRONTIER_JSON: found.model_dump_json(indent=1) + "\n", FRONTIER_SVG: found.svg()}
    if order.quantization_aware is not None and precision in ("int8", "mixed"):
        learned, said = _trained_in_the_integers(order, session, seen, recipe, part(progress, 0.2, 0.3))
        notes.append(said)
    margin = order.max_loss if precision == "mixed" else LOSS_MARGIN
    with replacing_folder(order.out) as fresh:
        bundle = export_possm_bundle(
            fresh,
            order.model,
            seen,
            unseen,
            recipe,
            progress=part(progress, 0.3, 0.9),
            target=wanted.name,
            precision=precision,
            documents=documents,
            learned=learned,
        )
        truth = TestTruth(_truth(unseen), np.ones(len(unseen.chunks), bool), spec.output_names, 1 / spec.chunk_s)
        progress(0.9, "scoring what was written")
        bundle.with_accuracy(*score_forms(truth, _forms(bundle, unseen), FLOAT_FORM, margin))
    progress(1.0, "done")
    return spikes_result(open_possm_bundle(order.out), (*notes, *notes_of_target(wanted, order.out)))


def search_step(model: Path, source: FrameSource, max_loss: float, progress: Progress) -> Frontier:
    """Search the widths of a step on its session's training and validation parts; raises as `search_spikes` does."""
    checkpoint, session = load_possm_step(model), load_session(_session_folder(model, source))
    parts: tuple[Part, Part] = ("train", "validation")
    seen, judged = (chunks_of(session, name, checkpoint.spec) for name in parts)
    return search_spikes(checkpoint, seen, judged, max_loss, progress=progress)


def _trained_in_the_integers(
    order: ExportOrder, session: Session, seen: ChunkStream, recipe: QuantizationRecipe, progress: Progress
) -> tuple[QuantizedPossmStep, str]:
    """The step in integers, and where they and the float weights of that training lie."""
    checkpoint, file = load_possm_step(order.model), order.out.with_name(f"{order.out.name}.qat") / "step.safetensors"
    judged = chunks_of(session, "validation", checkpoint.spec)
    trained = quantize_step_in_training(seen, judged, checkpoint, file, order.quantization_aware, recipe, progress)
    return trained.step, f"trained in the integers; float weights and integers of that training are in {file.parent}"


def _refuse_what_spikes_have_not(order: ExportOrder) -> None:
    """Name what a decoder of frames could be asked for, and this one cannot."""
    asked = {
        "--quantized": order.quantized is not None,
        "--loadable": order.loadable,
        "--rewrite": bool(order.rewrites),
    }
    if refused := [name for name, given in asked.items() if given]:
        raise InputError(f"{order.model} decodes spikes, for which there is no {' nor '.join(refused)}; leave it out")


def _require_settled(step: Path, seen: ChunkStream) -> None:
    checkpoint, settling = load_possm_step(step), Settling(len(seen.chunks))
    FloatPossmStream.of(checkpoint.spec, checkpoint.parameters).stream(seen.chunks, seen.reset_before, settling)
    settling.require_settled()


def _session_folder(model: Path, source: FrameSource) -> Path:
    """The prepared session: what the user says, or that of the run folder, decoders/WAY/SESSION_SEED/."""
    if source.recording is not None:
        raise InputError(f"{model} decodes spikes; give the prepared session with --prepared, not --recording")
    here = model.resolve().parent
    root = [*here.parents, here, here, here][2]
    place = source.prepared or root / "sessions" / re.sub(r"_\d+$", "", here.name)
    if not (place / SPIKES_NAME).is_file():
        raise InputError(
            f"no {SPIKES_NAME} in {place}; give --prepared with the folder of the session in the run's sessions"
        )
    return place


def chunks_of(session: Session, name: Part, spec: PossmStepSpec) -> ChunkStream:
    """A part of a session as the step takes it; raises MissingToolError without torch, InputError without spikes."""
    try:
        from edgebci.training.possm.export_form import chunk_stream
    except ModuleNotFoundError as error:
        raise MissingToolError(
            f"chunks of spikes are cut with torch, which is not installed ({error}); pip install 'edgebci[train]'"
        ) from error
    cut = PossmSpec(chunk_s=spec.chunk_s, time_step_s=spec.chunk_s / spec.n_time_steps, max_tokens=spec.max_tokens)
    return chunk_stream(session, name, cut)


def _truth(stream: ChunkStream) -> F64:
    if stream.truth is None:
        raise InputError("the session has no target at the ends of its chunks; give another with --prepared")
    return stream.truth


def _forms(bundle: PossmBundle, stream: ChunkStream) -> dict[str, Callable[[], F64]]:
    chunks, resets = stream.chunks, stream.reset_before

    def graph(path: Path) -> Callable[[], F64]:
        return lambda: OnnxStepRunner(path).stream(chunks, resets).astype(np.float64)

    forms, manifest = {FLOAT_FORM: graph(bundle.float_onnx)}, bundle.manifest
    goal = target(manifest.target)
    if goal.kind == "jetson":
        forms[TENSORRT_FORM] = graph(bundle.folder / "jetson" / "decoder.onnx")
    elif manifest.precision != "fp32":
        forms[f"ONNX {manifest.precision}"] = graph(bundle.shipped_onnx)
    if goal.core is not None:
        forms[C_FORM] = lambda: bundle.quantized_decoder().stream(chunks, resets).astype(np.float64)
    return forms
