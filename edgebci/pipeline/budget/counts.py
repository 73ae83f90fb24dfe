"""What a decoder computes, counted from its sizes: for a bundle, for a decoder that has no weights yet, or as typed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, Field

from edgebci.decoder_spec import DecoderSpec
from edgebci.documents import Document, load_json
from edgebci.edge_student import load_edge_student
from edgebci.errors import InputError
from edgebci.features.specification import FeatureSpec
from edgebci.operators.cells import CellKind
from edgebci.pipeline.budget.cycle_costs import CoreCosts
from edgebci.workload import dense_shapes, workload

MANIFEST = "manifest.json"
OUTPUT_BITS, FEATURE_BITS = 32, 8
"""Of one decoded axis as float32, and of one feature as the decoder takes it."""
_MAX_SECTIONS = 64


class Written(BaseModel):
    """Of any of our JSON files, what it says that it is."""

    schema_version: str = ""


class _Sizes(BaseModel):
    """Of a manifest, what is counted here; `edgebci.bundle` reads all of it, and takes a second to be imported."""

    spec: DecoderSpec
    features: FeatureSpec
    n_channels: int


class Counts(Document):
    """What one frame takes.

    Fields:
        sections: second-order sections that each sample of each channel goes through.
        features, rows, macs, states: of a frame; rows and macs of dense layers, states are elements of `cell`.
        input_macs: of the macs, those of the layer that takes the features, which grows with the channels.
        weight_bytes, state_bytes: of the quantized decoder; code and buffers come on top.
    """

    n_channels: int = Field(gt=0, le=1_000_000)
    rate_hz: float = Field(gt=0)
    frame_rate_hz: float = Field(gt=0)
    sections: int = Field(ge=0, le=_MAX_SECTIONS)
    features: int = Field(gt=0)
    rows: int = Field(ge=0)
    macs: int = Field(ge=0)
    input_macs: int = Field(ge=0)
    cell: CellKind = "mamba2"
    states: int = Field(ge=0)
    n_outputs: int = Field(gt=0)
    weight_bytes: int = Field(ge=0)
    state_bytes: int = Field(ge=0)

    @property
    def samples_per_frame(self) -> float:
        """Of one channel."""
        return self.rate_hz / self.frame_rate_hz

    def with_channels(self, n_channels: int, features_per_channel: int | None = None) -> Counts:
        """The decoder for other channels and features: its first layer grows with them, the rest stays."""
        own = self.features // self.n_channels
        features = n_channels * (own if features_per_channel is None else features_per_channel)
        more = round(self.input_macs / self.features * features) - self.input_macs
        sizes = {"n_channels": n_channels, "features": features, "macs": self.macs + more}
        return self.model_copy(
            update=sizes | {"input_macs": self.input_macs + more, "weight_bytes": self.weight_bytes + more}
        )


@dataclass(frozen=True)
class Cycles:
    """Of one frame: front end, and decoder."""

    front_end: float
    decoder: float


def front_end_cycles(counts: Counts, costs: CoreCosts) -> float:
    """Cycles of one frame's features."""
    samples = counts.n_channels * counts.samples_per_frame
    return samples * (costs.per_sample + counts.sections * costs.per_section) + counts.features * costs.per_feature


def decoder_cycles(counts: Counts, costs: CoreCosts) -> float:
    """Cycles of one step of the decoder."""
    cell = counts.cell
    return counts.macs * costs.per_mac + counts.rows * costs.per_row[cell] + counts.states * costs.per_state[cell]


def counts_of(spec: FeatureSpec, decoder: DecoderSpec, n_channels: int) -> Counts:
    """Count a decoder with its front end."""
    shapes, work = dense_shapes(decoder), workload(decoder)
    return Counts(
        n_channels=n_channels,
        rate_hz=spec.rate_hz,
        frame_rate_hz=spec.frame_rate_hz,
        sections=sections_of(spec),
        features=spec.n_features(n_channels),
        rows=sum(rows for rows, _ in shapes),
        macs=sum(rows * columns for rows, columns in shapes),
        input_macs=shapes[0][0] * shapes[0][1],
        cell=decoder.cell,
        states=_state_elements(decoder),
        n_outputs=decoder.n_outputs,
        weight_bytes=work.weight_bytes,
        state_bytes=work.state_bytes,
    )


def _state_elements(decoder: DecoderSpec) -> int:
    """Of the states that remember; the windows of a convolution are left out."""
    shapes = decoder.layer.state_shapes()
    return decoder.n_layers * sum(math.prod(shape) for name, shape in shapes.items() if not name.startswith("conv"))


def sections_of(spec: FeatureSpec) -> int:
    """Second-order sections of one channel: `order` of a band; half the order of a low-pass, and its high-pass."""
    low_passes = [one for one in (spec.lmp, spec.raw) if one]
    slow = sum(one.order // 2 + (one.high_pass_hz > 0) for one in low_passes)
    return sum(band.order for band in spec.bands) + slow


def read_counts(decoder: Path) -> Counts:
    """Count a bundle (a folder) or a decoder's sizes (the .toml of `examples/edge_student.toml`).

    Raises:
        InputError: neither of them, or a bundle that takes something else than samples.
    """
    if decoder.suffix == ".toml":
        student = load_edge_student(decoder)
        return counts_of(student.features, student.decoder, student.n_channels)
    path = decoder / MANIFEST
    if not path.is_file():
        raise InputError(f"{decoder} holds no {MANIFEST}, a bundle has one; give the folder that the export wrote")
    kind = load_json(path, Written).schema_version
    if not kind.startswith("edgebci.bundle/"):
        raise InputError(
            f"{decoder} is {kind!r}, and only bundles that decode samples have their front end counted; "
            "give such a bundle, or --channels with --macs"
        )
    sizes = load_json(path, _Sizes)
    return counts_of(sizes.features, sizes.spec, sizes.n_channels)


def typed_counts(
    n_channels: int | None, macs: int | None, rate_hz: float, frame_rate_hz: float, bands: int, n_outputs: int
) -> Counts:
    """Counts of a decoder of which only sizes are known: int8 weights, two sections to a band, rows of 100 MACs.

    Raises:
        InputError: channels or MACs are missing, or no frame rate divides the rate.
    """
    if n_channels is None or macs is None:
        missing, given = ("--channels", "--macs") if n_channels is None else ("--macs", "--channels")
        raise InputError(f"{given} stands alone; give {missing} too, or a --decoder in place of both")
    if not 0 < frame_rate_hz <= rate_hz:
        raise InputError(f"{frame_rate_hz:g} steps a second of {rate_hz:g} samples; give fewer steps than samples")
    return Counts(
        n_channels=n_channels,
        rate_hz=rate_hz,
        frame_rate_hz=frame_rate_hz,
        sections=2 * bands,
        features=max(1, bands) * n_channels,
        rows=math.ceil(macs / 100),
        macs=macs,
        input_macs=0,
        states=0,
        n_outputs=n_outputs,
        weight_bytes=macs,
        state_bytes=0,
    )
