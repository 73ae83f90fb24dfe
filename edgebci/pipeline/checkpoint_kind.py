"""What a file is that someone wants to export, told from its head alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, get_args

from safetensors import SafetensorError, safe_open

from edgebci.checkpoint import DecoderHeader
from edgebci.errors import InputError
from edgebci.possm_spec import PossmStepHeader

Kind = Literal["frames", "spikes", "foreign"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_FRAMES: str = DecoderHeader.model_fields["schema_version"].default
_SPIKES: str = PossmStepHeader.model_fields["schema_version"].default
# What has a step, but not in its own file: what to give in its place.
_INSTEAD = {
    "edgebci.possm_model": "give possm_step.safetensors, which edgebci train leaves beside it",
    "edgebci.realm_decoder": "give decoder.safetensors of the run's bundles folder",
    "edgebci.lfp_student": "give decoder.safetensors of the run's bundles folder",
    "edgebci.teacher": "teachers are not for an implant: give the student",
}


def kind_of(path: Path) -> Kind:
    """Say whether a file is a decoder of frames, one of spikes, or an ONNX model made elsewhere.

    Raises:
        InputError: there is no such file, it is cut short, or of a kind or version that cannot be exported.
    """
    if not path.is_file():
        raise InputError(f"no file {path}; give a checkpoint (.safetensors) or a model (.onnx)")
    if path.suffix == ".onnx":
        return "foreign"
    schema = _schema(path)
    kinds: dict[str, Kind] = {_FRAMES: "frames", _SPIKES: "spikes"}
    if schema in kinds:
        return kinds[schema]
    raise InputError(f"{path} {_what(schema)}")


def require_frames(path: Path, instead: str) -> None:
    """Raise InputError where a file is no decoder of frames; `instead`: what there is for the others."""
    kind = kind_of(path)
    if kind != "frames":
        others = {"spikes": "is a decoder of spikes", "foreign": "was made elsewhere"}
        raise InputError(f"{path} {others[kind]}, this is for decoders of frames; {instead}")


def _schema(path: Path) -> str:
    try:
        with safe_open(path, framework="numpy") as file:
            said = json.loads((file.metadata() or {}).get("edgebci", "null"))
    except (SafetensorError, json.JSONDecodeError, OSError) as error:
        raise InputError(f"{path} is neither a whole safetensors file nor .onnx ({error}); train it again") from error
    found = said.get("schema_version") if isinstance(said, dict) else None
    return found if isinstance(found, str) else ""


def _what(schema: str) -> str:
    name, _, version = schema.partition("/")
    for known in (_FRAMES, _SPIKES):
        if known.startswith(f"{name}/"):
            return (
                f"is version {version} of {name}, this edgebci reads version {known.partition('/')[2]}; train it "
                "again, or use the edgebci that wrote it"
            )
    if name in _INSTEAD:
        return f"is {schema}, which has no step to export; {_INSTEAD[name]}"
    return f"is {schema or 'no checkpoint of edgebci'}; give a decoder that edgebci run or edgebci train wrote"
