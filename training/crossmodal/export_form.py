"""The causal student with a linear readout as the checkpoint that the exporter takes."""

from __future__ import annotations

from edgebci.checkpoint import Checkpoint, TrainingRecord
from edgebci.decoder_spec import DecoderSpec
from edgebci.errors import InputError
from edgebci.session import Session
from edgebci.training.crossmodal.readout import Readout
from edgebci.training.crossmodal.recipe import CausalBody
from edgebci.training.crossmodal.student_model import CausalEncoder, Student


def to_checkpoint(student: Student, readout: Readout, session: Session, training: TrainingRecord) -> Checkpoint:
    """The student of `session` as a causal decoder whose outputs are in the target's unit.

    Raises:
        InputError: the student looks both ways, or has other inputs than the session has channels.
    """
    if not isinstance(student.recipe_body, CausalBody) or not isinstance(student.body, CausalEncoder):
        raise InputError("the transformer student looks both ways in time; distil a mamba2 student to deploy")
    if session.data.frames.shape[1] != student.n_channels:
        raise InputError(
            f"session {session.name} has {session.data.frames.shape[1]} channels where the student has "
            f"{student.n_channels} inputs; deploy on a session with as many"
        )
    tensors = {name: value.cpu().numpy() for name, value in student.body.decoder.state_dict().items()}
    tensors |= {"readout.weight": readout.weight, "readout.bias": readout.bias}
    names = {"output_names": session.data.target_names, "output_unit": session.data.target_unit}
    spec = DecoderSpec.model_validate(student.body.decoder.spec.model_dump() | names)
    return Checkpoint(spec, tensors, training)
