"""A fine-tuned edge student as the checkpoint that the exporter takes."""

from __future__ import annotations

from edgebci.checkpoint import Checkpoint
from edgebci.decoder_spec import DecoderSpec
from edgebci.documents import parse
from edgebci.errors import InputError
from edgebci.operators.tokenizer import TokenizerSpec
from edgebci.training.realm.files import DecoderFile
from edgebci.training.realm.spec import EncoderSpec

_NAMES = {
    "linear": {"encoder.tokenizer.mix.": "input.", "encoder.": "", "head.": "readout."},
    "attention": {"encoder.": "", "head.": "readout."},
}
"""By the kind of tokenizer: start of a name here, and of the same tensor's name in a checkpoint."""


def to_checkpoint(file: DecoderFile) -> Checkpoint:
    """The same decoder, tensor by tensor; outputs stay in the target's unit.

    Raises:
        InputError: the decoder may not run on an implant, or has a part that the exporter has no operator for.
    """
    spec, decoder = file.decoder.encoder.spec, file.decoder
    if reason := spec.why_not_exportable or _missing_operator(spec, decoder.skip is not None):
        raise InputError(f"the decoder cannot be exported: {reason}")
    starts = _NAMES[spec.tokenizer]
    tensors = {_renamed(name, starts): tensor.cpu().numpy() for name, tensor in decoder.state_dict().items()}
    return Checkpoint(_decoder_spec(file, spec), tensors, file.training)


def _missing_operator(spec: EncoderSpec, raw_skip: bool) -> str | None:
    wanted = {"block": "mamba2", "norm": "rms"}
    for name, value in wanted.items():
        if (found := getattr(spec, name)) != value:
            return f'{name} = "{found}" has no operator yet; distil a student with {name} = "{value}"'
    return (
        "the path from the raw frame to the outputs has no operator; fine-tune without raw_skip" if raw_skip else None
    )


def _decoder_spec(file: DecoderFile, spec: EncoderSpec) -> DecoderSpec:
    return DecoderSpec(
        n_inputs=spec.n_channels,
        output_names=file.output_names,
        output_unit=file.output_unit,
        d_model=spec.d_model,
        n_layers=spec.n_layers,
        d_state=spec.d_state,
        headdim=spec.headdim,
        expand=spec.expand,
        d_conv=spec.d_conv,
        norm_epsilon=spec.norm_epsilon,
        tokenizer=None if spec.tokenizer == "linear" else _tokenizer_spec(spec),
    )


def _tokenizer_spec(spec: EncoderSpec) -> TokenizerSpec:
    content = spec.model_dump(include={"channel_features", "conv_taps", "attention_taps", "activation"})
    return parse(content | {"mean_frames": spec.attention_frames}, TokenizerSpec, "the student's tokenizer")


def _renamed(name: str, starts: dict[str, str]) -> str:
    start = next(start for start in starts if name.startswith(start))
    return starts[start] + name.removeprefix(start)
