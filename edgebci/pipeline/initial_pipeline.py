"""A first pipeline for a recording that nobody has described yet: `edgebci init`.

The text is the one source: it is parsed and checked as `edgebci run` would, before it is written.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from edgebci.documents import nearest, parse
from edgebci.errors import InputError
from edgebci.features.specification import HIGHEST_CORNER, LOWEST_CORNER, MIN_REFERENCE_CHANNELS
from edgebci.files import write_text
from edgebci.pipeline.configuration import PipelineConfig, PlacementConfig, check_recording_path
from edgebci.pipeline.placement import least_load, put_into
from edgebci.pipeline.split import cut
from edgebci.recordings.model import BehaviorInfo, NwbOptions, RecordingInfo

FRAME_RATE_HZ = 50.0
MANY_CHANNELS = 32
"""With more, a band less saves more of the chip than it costs accuracy."""
_BANDS = {
    (4.0, 8.0): "theta",
    (8.0, 12.0): "alpha, mu",
    (12.0, 30.0): "beta",
    (30.0, 60.0): "low gamma",
    (70.0, 150.0): "high gamma, above mains",
    (150.0, 400.0): "what spikes leave in the LFP",
}
_FOR_MANY = ((12.0, 30.0), (70.0, 150.0), (150.0, 400.0))
_LMP_CORNER_HZ, _LMP_HIGH_PASS_HZ = 4.0, 0.1
_TRUTH = "truth."  # what only the maker of a synthetic recording knows
_WORDS = ("vel", "speed", "pos", "cursor", "hand")  # what is decoded best comes first
_IMPLANTS = (
    PlacementConfig(implant="utah96-lfp", compute="stm32l4r5", radio="ble-2m"),
    PlacementConfig(implant="brown-wireless-device", compute="nrf52840", radio="ble-2m"),
    PlacementConfig(implant="borton-2013", compute="stm32l4r5", radio="ble-2m"),
)


def write_initial_pipeline(recording: Path, out: Path, target: str | None, lfp: str | None) -> PipelineConfig:
    """Write a commented pipeline for a recording.

    Args:
        recording: .nwb, or .h5 in temporaldata's layout.
        out: the TOML; it must not exist.
        target: name of a behaviour; None takes the one that fits best.
        lfp: name of the ElectricalSeries, where there are several.

    Raises:
        InputError: the recording cannot be read, is too short or too slow, has no such behaviour, more channels than
            any shipped implant, or `out` exists.
    """
    from edgebci.recordings.conversion import describe

    if out.exists():
        raise InputError(f"{out} exists and is not replaced; choose another --out, or move it away")
    check_recording_path(recording)
    info = describe(recording, NwbOptions(lfp=lfp))
    text = initial_pipeline(recording, info, _behavior(recording, info, target), lfp)
    config = parse(tomllib.loads(text), PipelineConfig, str(out))
    write_text(out, text)
    return config


def initial_pipeline(recording: Path, info: RecordingInfo, behavior: BehaviorInfo, lfp: str | None) -> str:
    """The text of the pipeline; raises InputError where `edgebci run` would."""
    bands, frame_rate_hz = bands_for(info), info.lfp_rate_hz / max(1, round(info.lfp_rate_hz / FRAME_RATE_HZ))
    if not bands:
        raise InputError(
            f"{recording} is sampled at {info.lfp_rate_hz:g} Hz, too slow for any band; give a faster recording"
        )
    before = _before_implants(recording, info, behavior, lfp, bands, frame_rate_hz)
    placement = _fitting(recording, info, behavior, before)
    return before + _IMPLANT.format(**placement.model_dump())


def bands_for(info: RecordingInfo) -> dict[tuple[float, float], str]:
    """Bands (low, high) in Hz that the rate can carry, with what they are; the last may be cut short by the rate."""
    highest_hz = HIGHEST_CORNER * info.lfp_rate_hz
    found: dict[tuple[float, float], str] = {}
    for (low_hz, high_hz), meaning in _BANDS.items():
        wanted = info.n_channels <= MANY_CHANNELS or (low_hz, high_hz) in _FOR_MANY
        if wanted and min(high_hz, highest_hz) >= 1.25 * low_hz:
            found[low_hz, min(high_hz, float(int(highest_hz)))] = meaning
    return found


def _behavior(recording: Path, info: RecordingInfo, target: str | None) -> BehaviorInfo:
    if target is not None:
        for series in info.behavior:
            if series.name == target:
                return series
        raise InputError(f"{recording} has no behaviour {target!r}; {nearest(target, list(info.behavior_names))}")
    shared = [series for series in info.behavior if _shared_s(series, info) > 0]
    if not shared:
        events = ", ".join(i.name for i in info.intervals) or "none"
        raise InputError(
            f"{recording} has no behaviour in the time of its LFP, so nothing can be followed; give a recording with "
            f"one, or detect one of its intervals ({events}) with a pipeline like examples/burst_detector.toml"
        )
    return min(shared, key=lambda series: (-round(_shared_s(series, info), -1), _rank(series.name), series.n_dims))


def _shared_s(series: BehaviorInfo, info: RecordingInfo) -> float:
    return min(series.end_s, info.end_s) - max(series.start_s, info.start_s)


def _rank(name: str) -> int:
    return next((k for k, word in enumerate(_WORDS) if word in name.lower()), len(_WORDS))


def _fitting(recording: Path, info: RecordingInfo, behavior: BehaviorInfo, text: str) -> PlacementConfig:
    """The first implant that takes these channels at this rate, once the time is known to be enough."""
    any_implant = parse(
        tomllib.loads(text + _IMPLANT.format(**_IMPLANTS[0].model_dump())), PipelineConfig, str(recording)
    )
    cut(int(_shared_s(behavior, info) * any_implant.features.frame_rate_hz), any_implant)
    spec = any_implant.student.decoder_spec(
        any_implant.features.n_features(info.n_channels), tuple(f"axis_{k}" for k in range(behavior.n_dims)), "1"
    )
    load = least_load(any_implant.firmware.core, any_implant.features, info.n_channels, spec)
    refused = []
    for placement in _IMPLANTS:
        try:
            put_into(placement, load)
        except InputError as error:
            refused.append(str(error))
        else:
            return placement
    raise InputError(
        f"no shipped implant takes {info.n_channels} channels at {info.lfp_rate_hz:g} Hz ({refused[-1]}); give fewer "
        "channels or a lower rate"
    )


def _before_implants(
    recording: Path,
    info: RecordingInfo,
    behavior: BehaviorInfo,
    lfp: str | None,
    bands: dict[tuple[float, float], str],
    frame_rate_hz: float,
) -> str:
    others = [
        _described(series)
        for series in info.behavior
        if series.name != behavior.name and not series.name.startswith("truth.")
    ]
    return _TEXT.format(
        command=f"edgebci init {_plain(recording.name)}",
        name=_name(recording.stem),
        n_channels=info.n_channels,
        duration_s=info.duration_s,
        path=_quoted(recording.as_posix()),
        lfp=f"lfp = {_quoted(lfp)}\n" if lfp is not None else "",
        target=_quoted(behavior.name),
        described=_described(behavior),
        others="\n# Also in the file: " + "; ".join(others) + "." if others else "",
        rate_hz=repr(info.lfp_rate_hz),
        frame_rate_hz=repr(frame_rate_hz),
        reference="average" if info.n_channels >= MIN_REFERENCE_CHANNELS else "none",
        why_reference=(
            "the mean of the good channels is taken off each"
            if info.n_channels >= MIN_REFERENCE_CHANNELS
            else f"a mean over fewer than {MIN_REFERENCE_CHANNELS} channels would take too much of each"
        ),
        bands="\n".join(
            f"  {{ low_hz = {low:g}, high_hz = {high:g} }},  # {meaning}" for (low, high), meaning in bands.items()
        ),
        lmp=_lmp(info.lfp_rate_hz),
    )


def _lmp(rate_hz: float) -> str:
    """The low-passed LFP; single precision sets how slow its high-pass may be."""
    high_pass_hz = max(_LMP_HIGH_PASS_HZ, 1.01 * LOWEST_CORNER * rate_hz)
    if 2 * high_pass_hz > _LMP_CORNER_HZ or HIGHEST_CORNER * rate_hz < _LMP_CORNER_HZ:
        return ""
    return (
        f"lmp = {{ corner_hz = {_LMP_CORNER_HZ:g}, high_pass_hz = {high_pass_hz:.4g} }}"
        "  # the slow LFP itself, beside the powers\n"
    )


def _described(series: BehaviorInfo) -> str:
    return _plain(f"{series.name} ({series.n_dims} ax{'i' if series.n_dims == 1 else 'e'}s, {series.unit})")


def _plain(text: str) -> str:
    """Text that stays on the one line of a comment."""
    return "".join(c if c.isprintable() else " " for c in text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _name(stem: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", stem).lstrip("_-") or "recording"


_TEXT = """\
# Written by `{command}`; a start, to be changed: edgebci run pipeline.toml
# {n_channels} channels, {duration_s:.0f} s of LFP.
schema = "edgebci.pipeline/1"
name = "{name}"  # of the folder under runs/

[recording]
path = {path}  # from the folder in which edgebci is called
{lfp}target = {target}  # {described}{others}
target_half_smoothing_s = 0.0  # half the window, if the target was smoothed: gaps between parts are at least this

[split]  # contiguous parts in this order, with gaps in between that nothing looks across
train = 0.6
validation = 0.15
test = 0.25  # opened once, at the end

[features]
rate_hz = {rate_hz}
frame_rate_hz = {frame_rate_hz}  # decoded values per second; divides rate_hz
reference = "{reference}"  # {why_reference}
power_tau_s = 0.1  # band powers are averaged over about this long: longer is smoother and later
bands = [
{bands}
]
{lmp}
[student]  # the causal decoder that goes onto the chip
cell = "mamba2"  # or s4d, gru
d_model = 64  # smaller is cheaper on the chip
seeds = [1]  # a verdict against ridge wants five: [1, 2, 3, 4, 5]

[training.teacher]
optimiser = {{ learning_rate = 2e-3, epochs = 30 }}

[training.student]
optimiser = {{ learning_rate = 2e-3, epochs = 40 }}

[comparison]  # losses in R2 that would be accepted: fixed before the test part is opened
retrained_margin = 0.02
same_weights_margin = 0.01
"""
_IMPLANT = """
[[implants]]  # edgebci profiles list shows all; repeat the block to compare implants
implant = "{implant}"
compute = "{compute}"
radio = "{radio}"
"""
