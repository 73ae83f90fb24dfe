"""A trained model as the step that an implant runs: what depends on a unit, or on nothing, becomes a table.

The latent asks the same of every chunk, so a token's score depends on its unit and on the step of its time alone; its
value, projected out, depends on its unit alone. An output at the end of a chunk asks the same of states of the same
age, so the query, its rotation and the keys' matrix become one vector per age.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgebci.decoding_data import Part
from edgebci.errors import InputError
from edgebci.possm_spec import PossmCheckpoint, PossmSpec, PossmStepSpec
from edgebci.possm_stream import ChunkStream
from edgebci.session import Session
from edgebci.training.possm.attention import FeedForward
from edgebci.training.possm.corpus import spikes_of
from edgebci.training.possm.files import PossmFile
from edgebci.training.possm.model import Possm
from edgebci.training.possm.tokens import chunk_spikes, finished_chunk
from edgebci.training.possm.vocabulary import KnownSession, Task
from edgebci.training.windows import pieces


def to_step(file: PossmFile, session: str) -> PossmCheckpoint:
    """The same decoder for one session that it knows; outputs are in the target's unit.

    Raises:
        InputError: the model does not know the session, or has a part that the step has no operator for.
    """
    model = file.model
    if reason := model.spec.why_not_exportable:
        raise InputError(f"the decoder cannot be exported: {reason}")
    index = model.vocabulary.index(session)
    known = model.vocabulary.sessions[index]
    with torch.no_grad():
        tensors = _tensors(model, index)
    spec = step_spec_of(model.spec, known, model.vocabulary.tasks[known.task])
    arrays = {name: tensors[name].float().cpu().numpy() for name in spec.parameter_shapes()}
    return PossmCheckpoint(spec, arrays, file.training)


def _tensors(model: Possm, index: int) -> dict[str, Tensor]:
    core, known = model.core, model.vocabulary.sessions[index]
    return {
        **_token_tables(model, index),
        **_feed_forward(core.encoder_feed, "encoder"),
        **_backbone(model),
        **_output_vectors(model, index),
        **_feed_forward(core.decoder_feed, "decoder"),
        **_readout(core.heads[known.task], known),
    }


def _token_tables(model: Possm, index: int) -> dict[str, Tensor]:
    """Of the session's units, the blank token first."""
    core, first = model.core, model.vocabulary.first_row(index) - 1
    score, value = core.token_tables(model.units[first : first + model.vocabulary.sessions[index].n_units])
    return {"score": score, "value": value, "latent": core.latent + core.encoder.out.bias}


def _output_vectors(model: Possm, index: int) -> dict[str, Tensor]:
    spec, attention, known = model.spec, model.core.decoder, model.vocabulary.sessions[index]
    query = model.sessions[index] + model.core.tasks[known.task]
    of_keys, of_values = attention.to_key_value.weight.chunk(2, dim=0)
    asked = attention.to_query(attention.norm(query)).expand(spec.memory_chunks, -1)
    ages_s = spec.chunk_s * torch.arange(spec.memory_chunks, device=query.device)
    return {
        "memory.norm.weight": _weight(attention.norm_context),
        "age": attention.rotation(asked, ages_s) @ of_keys / math.sqrt(spec.head_dim),
        "context.weight": attention.out.weight @ of_values,
        "query": query + attention.out.bias,
    }


def _feed_forward(part: FeedForward, name: str) -> dict[str, Tensor]:
    return {f"{name}.{key}": tensor for key, tensor in part.state_dict().items()}


def _backbone(model: Possm) -> dict[str, Tensor]:
    """Names are those of the model, but for the GRU's own."""
    tensors = model.core.backbone.state_dict()
    return {name.replace(".gru.", ".").removesuffix("_l0"): tensor for name, tensor in tensors.items()}


def _readout(head: nn.Module, known: KnownSession) -> dict[str, Tensor]:
    """In the target's unit instead of none."""
    tensors = head.state_dict()
    mean, sd = (torch.from_numpy(np.array(value, dtype=np.float32)) for value in (known.mean, known.sd))
    mean, sd = mean.to(tensors["bias"].device), sd.to(tensors["bias"].device)
    return {
        "readout.weight": tensors["weight"] * sd.unsqueeze(-1),
        "readout.bias": tensors["bias"] * sd + mean,
    }


def _weight(norm: nn.Module) -> Tensor:
    weight: Tensor = norm.state_dict()["weight"]
    return weight


def step_spec_of(spec: PossmSpec, known: KnownSession, task: Task) -> PossmStepSpec:
    """Sizes of the step for one session."""
    same = ("max_tokens", "chunk_s", "dim", "feed_forward_hidden", "hidden", "n_layers", "memory_chunks", "backbone")
    block = ("d_state", "headdim", "expand", "d_conv", "norm_epsilon")
    return PossmStepSpec.model_validate(
        {
            **{name: getattr(spec, name) for name in (*same, *block)},
            "n_units": known.n_units,
            "n_time_steps": spec.n_time_steps,
            "output_names": task.output_names,
            "output_unit": task.output_unit,
        }
    )


def chunk_stream(session: Session, part: Part, spec: PossmSpec) -> ChunkStream:
    """Whole chunks of a part of a session as the step takes them, with the targets at their ends; states begin anew
    with each interval. The oldest spikes of overfull chunks are dropped, as everywhere.

    Raises:
        InputError: the session has no sorted spikes.
    """
    streams = [_chunks(session, start, stop, spec) for start, stop in pieces(session.data, part)]
    chunks, truths = zip(*streams, strict=True)
    resets = [np.arange(len(of)) == 0 for of in chunks]
    return ChunkStream(np.concatenate(chunks), np.concatenate(resets), np.concatenate(truths))


def _chunks(session: Session, start: int, stop: int, spec: PossmSpec) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Tokens (T, max_tokens, 2) of frames [start, stop), a unit of -1 being none, and targets at each end (T, D)."""
    data = session.data
    times_s = data.times_s[start:stop]
    begin_s = float(times_s[0] - 1 / data.frame_rate_hz)
    n_chunks = int(finished_chunk(times_s[-1:] - begin_s, spec.chunk_s)[0]) + 1
    found = chunk_spikes(spikes_of(session), begin_s, n_chunks, spec, 1)
    tokens = np.full((n_chunks, spec.max_tokens, 2), (-1, 0), dtype=np.int32)
    tokens[:, : found.unit.shape[1], 0] = np.where(found.mask, found.unit, -1)
    tokens[:, : found.unit.shape[1], 1] = found.time_step
    ends_s = begin_s + spec.chunk_s * np.arange(1, n_chunks + 1)
    targets = data.targets[start:stop].astype(np.float64)
    return tokens, np.stack([np.interp(ends_s, times_s, axis) for axis in targets.T], axis=1)
