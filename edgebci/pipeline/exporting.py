"""From a student's checkpoint to a verified bundle, and what both of its graphs say about the test part."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from edgebci.agreement import FloatAgreement, QuantizedAgreement
from edgebci.bundle import Bundle, Provenance, open_bundle
from edgebci.checkpoint import load_checkpoint, read_tensors, write_tensors
from edgebci.documents import Document
from edgebci.export.bundle_writer import export_bundle
from edgebci.export.step_runner import OnnxStepRunner
from edgebci.files import sha256
from edgebci.frame_stream import part_stream
from edgebci.metrics import F64
from edgebci.pipeline.configuration import PipelineConfig
from edgebci.pipeline.preparation import Prepared
from edgebci.progress import Progress, part
from edgebci.reporting.schema import GraphCheck

BUNDLE_FOLDER, OUTPUTS_NAME = "bundle", "onnx_outputs.safetensors"
FLOAT_FORM, INT8_FORM = "ONNX float", "ONNX int8"


class OutputsHeader(Document):
    """The tensors beside it are the outputs (K, D) of both graphs over the test part."""

    schema_version: Literal["edgebci.onnx_outputs/1"] = "edgebci.onnx_outputs/1"


def export_student(
    student: Path, recording: Path, prepared: Prepared, config: PipelineConfig, folder: Path, progress: Progress
) -> None:
    """Write the bundle of one student into `folder`, and run its graphs over the test part.

    Calibration sees training frames only; the finished forms are verified on the test part.

    Raises:
        VerificationError: a graph does not compute what its reference computes.
    """
    test = part_stream(prepared.data, "test")
    bundle = export_bundle(
        folder / BUNDLE_FOLDER,
        load_checkpoint(student),
        prepared.front_end,
        part_stream(prepared.data, "train"),
        test,
        _provenance(student, recording, prepared, config),
        config.quantization,
        config.firmware.core,
        part(progress, 0.0, 0.8),
    )
    forms = {"float": (bundle.float_onnx, 0.8), "int8": (bundle.int8_onnx, 0.9)}
    outputs = {
        name: OnnxStepRunner(path).stream(test.frames, test.reset_before, part(progress, start, start + 0.1))
        for name, (path, start) in forms.items()
    }
    write_tensors(folder / OUTPUTS_NAME, outputs, OutputsHeader())


def load_bundle(folder: Path) -> Bundle:
    """The bundle that the export stage wrote."""
    return open_bundle(folder / BUNDLE_FOLDER)


def load_outputs(folder: Path) -> dict[str, F64]:
    """The outputs (K, D) of both graphs over the test part, by the name of the form."""
    arrays, _ = read_tensors(folder / OUTPUTS_NAME, OutputsHeader)
    return {FLOAT_FORM: arrays["float"].astype(np.float64), INT8_FORM: arrays["int8"].astype(np.float64)}


def graph_checks(floating: FloatAgreement, quantized: QuantizedAgreement | None) -> tuple[GraphCheck, ...]:
    """What verification found, in a sentence for each graph that there is."""
    errors = ", ".join(f"{form} {error:.1e}" for form, error in floating.largest_error.items())
    of_float = GraphCheck(
        name="float graph against NumPy in float64",
        n_steps=floating.steps,
        detail=f"largest error relative to the tensor's largest value: {errors} (the reference evaluator, which is "
        f"slow, over {floating.evaluator_steps} steps)",
    )
    return (of_float,) if quantized is None else (of_float, _quantized_check(quantized))


def _quantized_check(quantized: QuantizedAgreement) -> GraphCheck:
    worst = max(quantized.each_quantizer, key=lambda q: q.share)
    return GraphCheck(
        name="int8 graph in ONNX Runtime against the bit-exact reference",
        n_steps=quantized.steps,
        detail=f"at most {max(q.largest_lsb for q in quantized.each_quantizer)} LSB, on {worst.share:.1e} of the "
        f"elements of the worst quantizer ({worst.name}); R² free-running differs by "
        f"{max(map(abs, quantized.free_running_r2_difference)):.1e}",
    )


def _provenance(student: Path, recording: Path, prepared: Prepared, config: PipelineConfig) -> Provenance:
    return Provenance(
        recording=recording.name,
        recording_sha256=sha256(recording),
        checkpoint_sha256=sha256(student),
        trials=len(config.student.seeds),
        test_intervals_s=(prepared.part_s("test"),),
    )
