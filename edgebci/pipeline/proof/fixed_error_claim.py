"""What the fixed-point decoder of a trained student loses beside the rounding of its weights, on the quickstart's test.

Errors are of outputs over the whole test part, each form from its own states: normalised RMS against float64 with the
same rounded weights, so that what is left is activations, states, tables and sums.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edgebci.arithmetic import F32
from edgebci.checkpoint import load_checkpoint
from edgebci.decoder_float import FloatDecoder, Parameters
from edgebci.decoder_spec import DecoderSpec
from edgebci.export.fixed_quantization import quantize_fixed, rounded_parameters
from edgebci.export.quantization import quantize
from edgebci.pipeline.configuration import load_pipeline
from edgebci.pipeline.preparation import load_prepared
from edgebci.pipeline.proof.claim import Claim, Place
from edgebci.pipeline.proof.figure import Figure
from edgebci.pipeline.proof.sources import Sources
from edgebci.pipeline.run import run_pipeline
from edgebci.progress import Progress

PIPELINE = "examples/quickstart.toml"
GOAL_PERCENT = 1.0
CALIBRATION_FRAMES = 6_000
FORMS = {"fixed": "int16 activations in fixed point", "int8": "int8 activations"}


def fixed_error_claim(aside: tuple[str, ...]) -> Claim:
    """The claim; `aside`: files that no figure depends on."""
    return Claim(
        name="fixed_error",
        title="What fixed point loses",
        command="edgebci proof --only fixed_error",
        sources=Sources(("edgebci.pipeline.proof.fixed_error_claim",), (PIPELINE,), aside),
        minutes=6.0,
        measure=measure_fixed_error,
    )


def measure_fixed_error(place: Place, progress: Progress) -> tuple[Figure, ...]:
    """Train the quickstart's student, if need be, and decode its test part in every form."""
    run = place.folder / "run"
    run_pipeline(load_pipeline(place.checkout / PIPELINE, None), run, f"edgebci run {PIPELINE}", progress)
    prepared = load_prepared(run / "features")
    data, student = prepared.data, load_checkpoint(next((run / "student").glob("student_*.safetensors")))
    train, test = slice(*data.train[0]), slice(*data.test[0])
    calibration = data.frames[train][data.valid[train]][:CALIBRATION_FRAMES]
    resets = None if data.reset_before is None else data.reset_before[test]
    errors = added_errors(student.spec, student.parameters, calibration, data.frames[test], resets, data.valid[test])
    return figures_of(errors)


def added_errors(
    spec: DecoderSpec,
    parameters: Parameters,
    calibration: F32,
    frames: F32,
    resets: NDArray[np.bool_] | None,
    counted: NDArray[np.bool_],
) -> dict[str, float]:
    """By form: normalised RMS of what it adds to the rounding of weights, the worst output's; and `rounding` alone.

    Args:
        calibration: (N, n_inputs) of the training part. frames: (T, n_inputs).
        resets: (T,) before which all begin anew.
        counted: (T,) frames that enter the figure.
    """
    exact = FloatDecoder.of(spec, parameters).stream(frames, resets)
    rounded = FloatDecoder.of(spec, rounded_parameters(spec, parameters)).stream(frames, resets)
    outputs = {
        "fixed": quantize_fixed(spec, parameters, calibration).stream(frames, resets),
        "int8": quantize(spec, parameters, calibration).stream(frames, resets),
    }
    found = {form: _worst(values[counted], rounded[counted]) for form, values in outputs.items()}
    return found | {"rounding": _worst(rounded[counted], exact[counted])}


def _worst(found: NDArray[np.floating], truth: NDArray[np.floating]) -> float:
    return float(np.sqrt(((found - truth) ** 2).mean(axis=0) / truth.var(axis=0)).max())


def figures_of(errors: Mapping[str, float]) -> tuple[Figure, ...]:
    """The goal first."""
    percent = {form: 100 * error for form, error in errors.items()}
    said = "reached" if percent["fixed"] <= GOAL_PERCENT else "MISSED"
    notes = {
        "fixed": f"goal {GOAL_PERCENT:g} % {said}; the rounding itself costs {percent['rounding']:.2g} %",
        "int8": "the same weights in the other arithmetic",
    }
    return tuple(
        Figure(
            name=f"{form}_error",
            label=f"error that {what} add to the rounding of weights, normalised RMS, trained student, worst output",
            value=percent[form],
            unit="%",
            evidence="measured",
            note=notes[form],
            headline=form == "fixed",
        )
        for form, what in FORMS.items()
    )
