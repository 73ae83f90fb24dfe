"""Decoders that were trained elsewhere, as files: the form that is exported, or a fine-tuned REALM decoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ConfigDict

from edgebci.checkpoint import TrainingRecord, load_checkpoint, read_tensors
from edgebci.decoding_data import DecodingData, Floats
from edgebci.documents import Document, nearest
from edgebci.errors import InputError
from edgebci.training.baselines.baseline import FLOAT32_BYTES, Baseline, Costs
from edgebci.training.baselines.students import StudentDecoder
from edgebci.training.realm.files import DecoderFile, load_decoder
from edgebci.training.realm.finetune import predict
from edgebci.training.realm.workload import realm_workload

CHECKPOINT, REALM = "edgebci.checkpoint/1", "edgebci.realm_decoder/1"


@dataclass(frozen=True, eq=False)
class Saved:
    """A decoder, and what its file says of it."""

    decoder: Baseline
    n_inputs: int
    output_names: tuple[str, ...]
    is_causal: bool
    training: TrainingRecord


class _Header(Document):
    model_config = ConfigDict(extra="ignore")

    schema_version: str


def load_saved(path: Path) -> Saved:
    """Read a decoder.

    Raises:
        InputError: it is missing, cut short, or no decoder.
    """
    schema = read_tensors(path, _Header)[1].schema_version
    if schema == CHECKPOINT:
        checkpoint = load_checkpoint(path)
        spec = checkpoint.spec
        return Saved(StudentDecoder(checkpoint), spec.n_inputs, spec.output_names, True, checkpoint.training)
    if schema == REALM:
        file = load_decoder(path)
        encoder = file.decoder.encoder.spec
        causal = not encoder.both_ways and encoder.preprocessing == "causal"
        return Saved(_Realm(file), encoder.n_channels, file.output_names, causal, file.training)
    raise InputError(f"{path} is {schema!r}, which decodes nothing by itself; {nearest(schema, [CHECKPOINT, REALM])}")


@dataclass(frozen=True, eq=False)
class _Realm:
    """A fine-tuned REALM decoder, exportable or not."""

    file: DecoderFile

    @property
    def costs(self) -> Costs:
        decoder, spec = self.file.decoder, self.file.decoder.encoder.spec
        parameters = sum(p.numel() for p in decoder.parameters())
        if spec.both_ways:
            return Costs(parameters=parameters, macs_per_output=None, state_bytes=None)
        counted = realm_workload(spec, len(self.file.output_names))
        skip = decoder.skip.weight.numel() if decoder.skip is not None else 0
        return Costs(
            parameters=parameters,
            macs_per_output=counted.macs + skip,
            state_bytes=FLOAT32_BYTES * counted.state_values,
        )

    def predict(self, data: DecodingData) -> Floats:
        return predict(self.file, data)
