"""An evaluation from recording to verdicts; every fitted decoder is kept, so that it can be interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

import edgebci
from edgebci.decoding_data import DecodingData
from edgebci.errors import InputError
from edgebci.files import write_text
from edgebci.pipeline.evaluation.configuration import EvaluationConfig
from edgebci.pipeline.evaluation.entrants import Entrant, Entrants
from edgebci.pipeline.evaluation.result import DecoderResult, Evaluation
from edgebci.pipeline.evaluation.scoring import Judge
from edgebci.pipeline.evaluation.trials import Trial, trials
from edgebci.pipeline.sessions import obtain_session
from edgebci.progress import Progress, part

RESULT_NAME, PICTURE_NAME = "evaluation.json", "evaluation.svg"
SESSIONS, SESSION, DECODERS = "sessions", "recording", "decoders"


def evaluate(config: EvaluationConfig, root: Path, checkpoints: Sequence[Path], progress: Progress) -> Evaluation:
    """Fit every decoder, score all on the same test frames, and write evaluation.json and evaluation.svg to `root`.

    Args:
        config: which decoders, on which recording.
        root: the evaluation's folder.
        checkpoints: decoders that were trained elsewhere, to be compared too.
        progress: of all of it.

    Raises:
        InputError: the recording, a checkpoint or the reference does not fit.
    """
    _require_names(config, checkpoints)
    data = obtain_session(config.preparation, root / SESSIONS, SESSION, None, part(progress, 0.0, 0.2)).data
    judge = Judge(data, config.alarms, config.comparison.seed)
    entrants = _entrants(config, data, root, checkpoints)
    tried = {}
    for i, entrant in enumerate(entrants):
        share = part(progress, 0.2 + 0.75 * i / len(entrants), 0.2 + 0.75 * (i + 1) / len(entrants))
        share(0.0, entrant.name)
        tried[entrant.name] = trials(entrant, data, config.student.seeds, root / DECODERS, share)
    progress(0.95, "scoring")
    result = _concluded(config, judge, [(e, tried[e.name]) for e in entrants], tried[config.reference])
    write_text(root / RESULT_NAME, result.model_dump_json(indent=1) + "\n")
    write_text(root / PICTURE_NAME, _picture(result))
    return result


def _require_names(config: EvaluationConfig, checkpoints: Sequence[Path]) -> None:
    """Refuse at once what would otherwise be found after the work of minutes."""
    names = [*config.competing, *(path.stem for path in checkpoints)]
    for path in checkpoints:
        if not path.is_file():
            raise InputError(f"no checkpoint {path}; train first, or correct the path")
        if names.count(path.stem) > 1:
            raise InputError(f"two decoders are called {path.stem!r}; rename the file {path}")
    if config.reference not in names:
        raise InputError(f"the reference {config.reference!r} is not among the decoders {', '.join(names)}; add it")


def _entrants(config: EvaluationConfig, data: DecodingData, root: Path, checkpoints: Sequence[Path]) -> list[Entrant]:
    possible = Entrants(config, data, root)
    return [*map(possible.named, config.competing), *map(possible.saved, checkpoints)]


def _concluded(
    config: EvaluationConfig,
    judge: Judge,
    tried: Sequence[tuple[Entrant, tuple[Trial, ...]]],
    reference: tuple[Trial, ...],
) -> Evaluation:
    data, margin = judge.data, config.comparison.retrained_margin
    return Evaluation(
        name=config.name,
        edgebci_version=edgebci.__version__,
        task=data.task,
        axes=data.target_names,
        unit=data.target_unit,
        metric="AUROC" if judge.detects else "R²",
        reference=config.reference,
        margin=margin,
        test_s=len(data.rows("test")) / data.frame_rate_hz,
        data_sha256={name: data.fingerprint(name) for name in ("train", "validation", "test")},
        decoders=tuple(_scored(judge, *one, reference, config.student.seeds, margin) for one in tried),
    )


def _scored(
    judge: Judge,
    entrant: Entrant,
    found: tuple[Trial, ...],
    reference: tuple[Trial, ...],
    seeds: tuple[int, ...],
    margin: float,
) -> DecoderResult:
    decoded, against = [one.decoded for one in found], [one.decoded for one in reference]
    seconds = [one.seconds for one in found if one.seconds is not None]
    return DecoderResult(
        decoder=entrant.name,
        seeds=seeds if entrant.is_random else (),
        is_causal=entrant.is_causal,
        regression=judge.regression(decoded),
        detection=judge.detection(decoded),
        by_seed=judge.by_seed(decoded),
        against_reference=None if found is reference else judge.compare(decoded, against, margin),
        costs=found[0].costs,
        effective_lag_ms=judge.effective_lag_ms(decoded),
        training_s=float(np.mean(seconds)) if seconds else None,
        note=entrant.note,
    )


def _picture(result: Evaluation) -> str:
    from edgebci.reporting.evaluation_figure import Contender, evaluation_svg

    rows = [
        Contender(
            name=one.decoder,
            accuracy=one.accuracy,
            by_seed=one.by_seed,
            difference=one.against_reference.difference if one.against_reference else None,
            macs_per_output=one.costs.macs_per_output,
            is_causal=one.is_causal,
        )
        for one in result.decoders
    ]
    return evaluation_svg(rows, result.metric, result.reference, result.margin)
