"""`edgebci export`: a decoder as a verified bundle for one target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebci.cli.output import JsonFlag, print_json, print_rows, progress_bar

if TYPE_CHECKING:
    from edgebci.bundle import Accuracy
    from edgebci.pipeline.export_order import ExportResult


Model = Annotated[Path, typer.Argument(help="A checkpoint (.safetensors), or an ONNX model made elsewhere.")]
TargetName = Annotated[
    str,
    typer.Option(
        help="cortex-m4f, host (the same C for this machine), cpu or raspberry-pi-5 (ONNX Runtime), "
        "jetson-orin-nano, jetson-orin-nx, jetson-agx-orin, jetson-agx-thor, or jetson."
    ),
]
Out = Annotated[Path, typer.Option(help="Folder of the bundle; one that stands there is replaced.")]
PrecisionName = Annotated[
    str | None, typer.Option(help="fp32, fp16, int8 or mixed; without it, int8. Not every target has each.")
]
Integers = Annotated[
    Path | None, typer.Option(help="The .int8.safetensors that quantization-aware training left beside it.")
]
InIntegers = Annotated[
    bool, typer.Option("--qat", help="Train in the integers first, towards the float form: minutes, needs torch.")
]
MaxLoss = Annotated[float, typer.Option(help="What mixed precision may cost in R² (in detection: AUROC).")]
PreparedFolder = Annotated[
    Path | None,
    typer.Option(help="Folder with frames.safetensors; without it, that of the checkpoint's own run folder."),
]
RecordingFile = Annotated[
    Path | None, typer.Option(help="Make the frames from this recording (.nwb or .h5) in place of that.")
]
FrontEndOption = Annotated[
    list[str] | None,
    typer.Option(
        help="fixed or float32: how the C computes the features; fixed, for bands alone, takes under half the cycles. "
        "With --recording also the folder of the front end that the checkpoint was trained with; may be repeated."
    ),
]
ArithmeticName = Annotated[
    str,
    typer.Option(help="int8, or fixed: int16 activations, no float; for Mamba-2 on a core, a third of the cycles."),
]
BehaviorName = Annotated[
    str | None,
    typer.Option(
        help="With --recording: name of the series, or of the events' intervals; without it, the one that fits."
    ),
]
Loadable = Annotated[
    bool,
    typer.Option("--loadable", help="Let the C take a new parameters.bin in use: normalisation and readout in RAM."),
]
Rewrites = Annotated[
    list[str] | None,
    typer.Option(
        help="With ONNX Runtime in fp32: write a second graph with this fused operator, if the runtime has it, for "
        "example com.microsoft.LinearAttention; may be repeated."
    ),
]
CalibrationFrames = Annotated[
    Path | None, typer.Option(help="Of an ONNX model: frames (T, n_inputs) of its training data, .npy or .h5.")
]
States = Annotated[
    list[str] | None,
    typer.Option(help="Of an ONNX model: a state, input=output; may be repeated. Without it, found by names."),
]
LfpName = Annotated[str | None, typer.Option(help="Name of the ElectricalSeries, where there are several.")]


def export(
    model: Model,
    target: TargetName,
    out: Out,
    precision: PrecisionName = None,
    quantized: Integers = None,
    qat: InIntegers = False,
    max_loss: MaxLoss = 0.01,
    prepared: PreparedFolder = None,
    recording: RecordingFile = None,
    front_end: FrontEndOption = None,
    arithmetic: ArithmeticName = "int8",
    behavior: BehaviorName = None,
    loadable: Loadable = False,
    rewrite: Rewrites = None,
    calibration: CalibrationFrames = None,
    state: States = None,
    lfp: LfpName = None,
    json: JsonFlag = False,
) -> None:
    """Quantize, build the graphs, prove them over a whole stream, and write them with all that the target needs.

    Calibration sees training frames only. Every form is verified and scored on the test part before anything is
    written; what does not compute what it should is refused with the first tensor and step that differ.
    """
    from edgebci.documents import parse
    from edgebci.export.calibration import QuantizationRecipe
    from edgebci.pipeline.export_command import export as run
    from edgebci.pipeline.export_frames import FrameSource
    from edgebci.pipeline.export_order import ExportOrder
    from edgebci.training.quantization_aware.recipe import QuantizationAwareRecipe

    folder, form = front_end_options(front_end or [])
    source = FrameSource(prepared=prepared, recording=recording, front_end=folder, behavior=behavior, lfp=lfp)
    recipe = parse({"arithmetic": arithmetic, "front_end": form}, QuantizationRecipe, "edgebci export")
    order = ExportOrder(
        quantization_aware=QuantizationAwareRecipe() if qat else None,
        model=model,
        out=out,
        target=target,
        precision=precision,
        quantized=quantized,
        max_loss=max_loss,
        frames=source,
        recipe=recipe,
        loadable=loadable,
        rewrites=tuple(rewrite or ()),
        calibration=calibration,
        states=tuple(state or ()),
    )
    with progress_bar("export") as progress:
        result = run(order, progress)
    if json:
        print_json(result)
    else:
        print_result(result)


def front_end_options(given: list[str]) -> tuple[Path | None, str]:
    """Folder and form of what --front-end was given; raises InputError where one of them is named twice."""
    from edgebci.errors import InputError

    forms = [value for value in given if value in ("fixed", "float32")]
    folders = [Path(value) for value in given if value not in forms]
    if len(forms) > 1 or len(folders) > 1:
        raise InputError(
            f"--front-end was given {', '.join(given)}; give a form (fixed or float32), a folder, or one of each"
        )
    return (folders[0] if folders else None), (forms[0] if forms else "float32")


def print_result(result: ExportResult) -> None:
    """Show what a bundle is worth."""
    rows = [
        ("target", f"{result.target} in {result.precision}{_forms(result)}"),
        ("work", f"{result.macs_per_step:,} MACs per step{_share(result)}"),
        ("size", f"{result.weight_bytes:,} bytes of weights, {result.state_bytes:,} of state"),
        ("files", f"{result.n_files}, {result.size_bytes:,} bytes"),
        ("verified", f"over {result.verified_steps:,} steps"),
        *((one.form, figures(one)) for one in result.accuracy),
        *_loss(result),
    ]
    if result.parameter_bytes is not None:
        rows.append(("parameter block", f"{result.parameter_bytes:,} bytes, rewritten by edgebci calibrate"))
    rows += [("id", result.bundle_id), *(("note", note) for note in result.notes)]
    print_rows(f"bundle: {result.bundle}", rows)


def _forms(result: ExportResult) -> str:
    arithmetic = " weights, fixed-point arithmetic" if result.arithmetic == "fixed" else ""
    return arithmetic + (", fixed-point front end" if result.front_end == "fixed" else "")


def _share(result: ExportResult) -> str:
    if result.int8_share is None:
        return ""
    return f", {result.int8_share:.1%} of those with a weight int8 by int8"


def figures(one: Accuracy) -> str:
    """The accuracy of one form in a line."""
    if one.auroc is not None:
        return f"AUROC {one.auroc:.4f} on {one.n_frames:,} test frames"
    ranges = one.r2_interval_95 or {}
    shown = [
        f"R² {axis} {value:.4f}" + (f" ({ranges[axis][0]:.3f} to {ranges[axis][1]:.3f})" if axis in ranges else "")
        for axis, value in one.r2.items()
    ]
    return f"{', '.join(shown)} on {one.n_frames:,} test frames"


def _loss(result: ExportResult) -> list[tuple[str, str]]:
    if result.loss is None:
        return []
    found = result.loss
    against = f"{found.metric} {found.value:+.5f} against the float graph, 95 % from {found.low:+.5f}"
    return [("loss", f"{against} to {found.high:+.5f} ({found.verdict} at a margin of {found.margin:g})")]
