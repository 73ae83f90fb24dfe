"""What one output of an LFP student costs, counted from its sizes."""

from __future__ import annotations

from edgebci.decoder_spec import DecoderSpec
from edgebci.session import Session
from edgebci.training.crossmodal.recipe import CausalBody, StudentRecipe
from edgebci.workload import workload


def student_costs(recipe: StudentRecipe, session: Session) -> str:
    """One line for a report: MACs, bytes and state of a causal student, or why another one has none on an implant."""
    if not isinstance(recipe.body, CausalBody):
        return "the transformer student looks both ways in time: it runs on recordings, not on an implant"
    data = session.data
    spec = DecoderSpec(
        n_inputs=data.frames.shape[1],
        output_names=data.target_names,
        output_unit=data.target_unit,
        **recipe.body.model_dump(include={"d_model", "n_layers", "d_state", "headdim"}),
    )
    counts = workload(spec)
    return (
        f"{counts.macs:,} MACs per output, {counts.weight_bytes:,} bytes of weights, {counts.state_bytes:,} bytes of "
        "state"
    )
