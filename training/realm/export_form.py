"""An edge student as the checkpoint that the exporter takes: fine-tuned, or with a label-free readout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebci.checkpoint import Checkpoint, TrainingRecord
from edgebci.decoder_spec import DecoderSpec
from edgebci.decoding_data import DecodingData, Floats
from edgebci.documents import parse
from edgebci.errors import InputError
from edgebci.operators.tokenizer import TokenizerSpec
from edgebci.training.realm.encoding import AnyEncoder
from edgebci.training.realm.files import DecoderFile
from edgebci.training.realm.readout import LabelFree
from edgebci.training.realm.spec import EncoderSpec

_NAMES = {
    "linear": {"tokenizer.mix.": "input.", "": ""},
    "attention": {"": ""},
}
"""By the kind of tokenizer: start of a name in an encoder, and of the same tensor's name in a checkpoint."""


@dataclass(frozen=True)
class _Outputs:
    """What a readout gives, from which frames."""

    names: tuple[str, ...]
    unit: str
    lags: int = 0


def to_checkpoint(file: DecoderFile) -> Checkpoint:
    """The same decoder, tensor by tensor; outputs stay in the target's unit.

    Raises:
        InputError: the decoder may not run on an implant, or has a part that the exporter has no operator for.
    """
    head, raw_skip = file.decoder.head, file.decoder.skip is not None
    readout = {f"readout.{name}": tensor.cpu().numpy() for name, tensor in head.state_dict().items()}
    outputs = _Outputs(file.output_names, file.output_unit)
    return _checkpoint(file.decoder.encoder, readout, outputs, file.training, raw_skip)


def label_free_checkpoint(fitted: LabelFree, data: DecodingData, training: TrainingRecord) -> Checkpoint:
    """A frozen student with its ridge readout of one session, whose outputs `data` names.

    Raises:
        InputError: as `to_checkpoint`.
    """
    weight = fitted.readout.weight  # (lags + 1, d_model, D), the newest frame first
    readout = {
        "readout.weight": np.ascontiguousarray(weight.reshape(-1, weight.shape[-1]).T),
        "readout.bias": fitted.readout.bias,
    }
    outputs = _Outputs(data.target_names, data.target_unit, len(weight) - 1)
    return _checkpoint(fitted.encoder, readout, outputs, training, raw_skip=False)


def _checkpoint(
    encoder: AnyEncoder, readout: dict[str, Floats], outputs: _Outputs, training: TrainingRecord, raw_skip: bool
) -> Checkpoint:
    spec = encoder.spec
    if reason := spec.why_not_exportable or _missing_operator(spec, raw_skip):
        raise InputError(f"the decoder cannot be exported: {reason}")
    starts = _NAMES[spec.tokenizer]
    tensors = {_renamed(name, starts): tensor.cpu().numpy() for name, tensor in encoder.state_dict().items()}
    return Checkpoint(_decoder_spec(spec, outputs), tensors | readout, training)


def _missing_operator(spec: EncoderSpec, raw_skip: bool) -> str | None:
    wanted = {"block": "mamba2", "norm": "rms"}
    for name, value in wanted.items():
        if (found := getattr(spec, name)) != value:
            return f'{name} = "{found}" has no operator yet; distil a student with {name} = "{value}"'
    return (
        "the path from the raw frame to the outputs has no operator; fine-tune without raw_skip" if raw_skip else None
    )


def _decoder_spec(spec: EncoderSpec, outputs: _Outputs) -> DecoderSpec:
    return DecoderSpec(
        n_inputs=spec.n_channels,
        output_names=outputs.names,
        output_unit=outputs.unit,
        d_model=spec.d_model,
        n_layers=spec.n_layers,
        d_state=spec.d_state,
        headdim=spec.headdim,
        expand=spec.expand,
        d_conv=spec.d_conv,
        norm_epsilon=spec.norm_epsilon,
        tokenizer=None if spec.tokenizer == "linear" else _tokenizer_spec(spec),
        readout_lags=outputs.lags,
    )


def _tokenizer_spec(spec: EncoderSpec) -> TokenizerSpec:
    content = spec.model_dump(include={"channel_features", "conv_taps", "attention_taps", "activation"})
    return parse(content | {"mean_frames": spec.attention_frames}, TokenizerSpec, "the student's tokenizer")


def _renamed(name: str, starts: dict[str, str]) -> str:
    start = next(start for start in starts if name.startswith(start))
    return starts[start] + name.removeprefix(start)
