"""The shape of POSSM, a decoder of single spikes (Ryoo et al. 2025, arXiv 2506.05320), and of the step that runs it.

`PossmSpec` is what training builds: spike tokens, attention of one latent per chunk, a recurrent backbone, attention of
a query over the last states. `PossmStepSpec` is the same decoder for an implant: everything that depends on a unit and
on the time within a chunk alone is a table, and outputs are read at the end of each chunk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from edgebci.block_spec import BlockSpec, Shape
from edgebci.checkpoint import Floats, TrainingRecord, read_tensors, write_tensors
from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.operators.cells import cell_of

Backbone = Literal["mamba2", "s4d", "gru"]


class PossmSpec(Document):
    """Sizes and variants; the defaults are the published single-session model with a GRU (o-POSSM: dim 256, hidden 512,
    4 layers)."""

    dim: int = Field(default=64, gt=0)
    """Width of tokens, latent and queries."""
    head_dim: int = Field(default=64, gt=0)
    """Width of the one head of either attention."""
    hidden: int = Field(default=256, gt=0)
    """Width of the backbone."""
    n_layers: int = Field(default=1, gt=0)
    backbone: Backbone = "gru"
    d_state: int = Field(default=64, gt=0)
    """Of mamba2 and s4d."""
    headdim: int = Field(default=64, gt=0)
    """Channels of mamba2 that share one decay."""
    expand: int = Field(default=2, gt=0)
    d_conv: int = Field(default=4, ge=2)
    feed_forward: Literal["geglu", "silu"] = "geglu"
    """geglu: down(a gelu(b)) of two projections, as published; silu: down(silu(up)), which the implant has."""
    feed_forward_expand: int = Field(default=4, gt=0)
    norm: Literal["layer", "rms"] = "layer"
    norm_epsilon: float = Field(default=1e-5, gt=0)

    chunk_s: float = Field(default=0.05, gt=0)
    max_tokens: int = Field(default=1024, gt=0)
    """Spikes of one chunk that are looked at; of more, the oldest are dropped and counted."""
    memory_chunks: int = Field(default=3, gt=0)
    """k: states that an output looks at, the newest included."""
    within_chunk: Literal["published", "strict"] = "published"
    """published: an output looks at the state of the chunk that it lies in, and so at up to chunk_s of later spikes;
    strict: at chunks that were over by then, so that no output depends on a later spike."""

    shortest_period_s: float = Field(default=1e-4, gt=0)
    longest_period_s: float = Field(default=10.0, gt=0)
    rotated_fraction: float = Field(default=0.5, gt=0, le=1)
    """Of a head's numbers; the others do not know the time."""
    rotate_values: bool = True
    time_step_s: float | None = Field(default=None, gt=0)
    """Spike times are rounded to the middle of such steps of a chunk; None: they are exact."""

    @model_validator(mode="after")
    def _sizes_fit(self) -> PossmSpec:
        if self.n_rotations < 1 or 2 * self.n_rotations > self.head_dim:
            raise ValueError(f"rotated_fraction {self.rotated_fraction} of head_dim {self.head_dim} is not one pair")
        if self.shortest_period_s >= self.longest_period_s:
            raise ValueError("shortest_period_s is not below longest_period_s; swap them")
        if self.time_step_s and abs(self.n_time_steps * self.time_step_s - self.chunk_s) > 1e-9:
            raise ValueError(f"time_step_s {self.time_step_s} does not divide chunk_s {self.chunk_s}; choose a divisor")
        if self.backbone == "mamba2" and (self.expand * self.hidden) % self.headdim:
            raise ValueError(f"headdim {self.headdim} does not divide expand * hidden; choose a divisor")
        if self.backbone == "s4d" and self.d_state % 2:
            raise ValueError(f"d_state {self.d_state} is odd, but s4d has pairs of states; choose an even number")
        return self

    @property
    def n_rotations(self) -> int:
        """Pairs of a head's numbers that turn with time."""
        return int(self.head_dim * self.rotated_fraction) // 2

    @property
    def n_time_steps(self) -> int:
        """Steps of a chunk to which spike times are rounded; 0 where they are exact."""
        return round(self.chunk_s / self.time_step_s) if self.time_step_s else 0

    @property
    def has_tables(self) -> bool:
        """Whether what the latent finds in a token depends on its unit and the step of its time alone."""
        return bool(self.time_step_s) and not self.rotate_values

    @property
    def feed_forward_hidden(self) -> int:
        """Width between the two matrices of a feed-forward part."""
        return self.feed_forward_expand * self.dim

    @property
    def block(self) -> BlockSpec:
        """Sizes of one cell of the backbone."""
        return BlockSpec(
            d_model=self.hidden,
            d_state=self.d_state,
            headdim=self.headdim,
            expand=self.expand,
            d_conv=self.d_conv,
            norm_epsilon=self.norm_epsilon,
        )

    @property
    def why_not_exportable(self) -> str | None:
        """What an implant's step cannot do, in one sentence; None where nothing speaks against it."""
        wanted = {"feed_forward": "silu", "norm": "rms", "rotate_values": False}
        for name, value in wanted.items():
            if getattr(self, name) != value:
                return f"{name} is {getattr(self, name)!r}, which has no operator; train it with {name} = {value!r}"
        return None if self.time_step_s else "spike times are exact, which needs no table; set time_step_s"


class PossmStepSpec(Document):
    """The decoder as one step per chunk: unit (N,), time_step (N,), mask (N,) and states to outputs and next states.

    With rms as root-mean-square norm, rows of units counted from 1 and row 0 the token of an empty chunk:

        a = softmax over the tokens of score[unit, time_step]         x = latent + sum of a value[unit]
        x = x + encoder.down(silu(encoder.up(rms(x))))                y = backbone(x)
        m = rms(y), and those of the chunks before; zeros before the stream began
        b = softmax over ages of age . m                              q = query + context (sum of b m)
        q = q + decoder.down(silu(decoder.up(rms(q))))                outputs = readout(q)
    """

    n_units: int = Field(gt=0)
    n_time_steps: int = Field(gt=0)
    max_tokens: int = Field(gt=0)
    chunk_s: float = Field(gt=0)
    dim: int = Field(gt=0)
    feed_forward_hidden: int = Field(gt=0)
    hidden: int = Field(gt=0)
    n_layers: int = Field(gt=0)
    backbone: Backbone
    memory_chunks: int = Field(gt=0)
    d_state: int = Field(gt=0)
    headdim: int = Field(gt=0)
    expand: int = Field(gt=0)
    d_conv: int = Field(ge=2)
    norm_epsilon: float = Field(gt=0)
    output_names: tuple[str, ...] = Field(min_length=1)
    output_unit: str

    @property
    def n_outputs(self) -> int:
        """Decoded axes."""
        return len(self.output_names)

    @property
    def block(self) -> BlockSpec:
        """Sizes of one cell of the backbone."""
        return BlockSpec(
            d_model=self.hidden,
            d_state=self.d_state,
            headdim=self.headdim,
            expand=self.expand,
            d_conv=self.d_conv,
            norm_epsilon=self.norm_epsilon,
        )

    def state_shapes(self) -> dict[str, Shape]:
        """Shape of each state of one stream; all are zero at power-on. `memory` holds m, the newest first."""
        of_layer = cell_of(self.backbone, self.block).state_shapes()
        shapes = {f"{name}.{i}": shape for i in range(self.n_layers) for name, shape in of_layer.items()}
        return shapes | {"memory": (self.memory_chunks - 1, self.hidden)}

    def parameter_shapes(self) -> dict[str, Shape]:
        """Shape of each tensor by its name."""
        rows = self.n_units + 1
        return {
            "score": (rows, self.n_time_steps),
            "value": (rows, self.dim),
            "latent": (self.dim,),
            **self._feed_forward_shapes("encoder"),
            **self._backbone_shapes(),
            "memory.norm.weight": (self.hidden,),
            "age": (self.memory_chunks, self.hidden),
            "context.weight": (self.dim, self.hidden),
            "query": (self.dim,),
            **self._feed_forward_shapes("decoder"),
            "readout.weight": (self.n_outputs, self.dim),
            "readout.bias": (self.n_outputs,),
        }

    def _feed_forward_shapes(self, name: str) -> dict[str, Shape]:
        return {
            f"{name}.norm.weight": (self.dim,),
            f"{name}.up.weight": (self.feed_forward_hidden, self.dim),
            f"{name}.up.bias": (self.feed_forward_hidden,),
            f"{name}.down.weight": (self.dim, self.feed_forward_hidden),
            f"{name}.down.bias": (self.dim,),
        }

    def _backbone_shapes(self) -> dict[str, Shape]:
        if self.backbone == "gru":
            return {name: shape for i in range(self.n_layers) for name, shape in self._gru_shapes(i).items()}
        shapes: dict[str, Shape] = {"input.weight": (self.hidden, self.dim), "input.bias": (self.hidden,)}
        of_layer = cell_of(self.backbone, self.block).parameter_shapes()
        for i in range(self.n_layers):
            shapes[f"layers.{i}.norm.weight"] = (self.hidden,)
            shapes |= {f"layers.{i}.mixer.{name}": shape for name, shape in of_layer.items()}
        return shapes

    def _gru_shapes(self, layer: int) -> dict[str, Shape]:
        """Gates in the order reset, update, new."""
        rows = 3 * self.hidden
        return {
            f"layers.{layer}.weight_ih": (rows, self.hidden if layer else self.dim),
            f"layers.{layer}.weight_hh": (rows, self.hidden),
            f"layers.{layer}.bias_ih": (rows,),
            f"layers.{layer}.bias_hh": (rows,),
        }


class PossmStepHeader(Document):
    """Header of the file of a step."""

    schema_version: Literal["edgebci.possm_step/1"] = "edgebci.possm_step/1"
    spec: PossmStepSpec
    training: TrainingRecord


@dataclass(frozen=True, eq=False)
class PossmCheckpoint:
    """A trained decoder as a step; outputs are in the target's unit."""

    spec: PossmStepSpec
    parameters: Mapping[str, Floats]
    """By the names and shapes of `spec.parameter_shapes()`."""
    training: TrainingRecord


def save_possm_step(path: Path, checkpoint: PossmCheckpoint) -> None:
    """Write a step; the same one always gives the same bytes."""
    header = PossmStepHeader(spec=checkpoint.spec, training=checkpoint.training)
    write_tensors(path, checkpoint.parameters, header)


def load_possm_step(path: Path) -> PossmCheckpoint:
    """Read a step.

    Raises:
        InputError: the file is missing, of another kind, or its tensors do not fit its spec.
    """
    tensors, header = read_tensors(path, PossmStepHeader)
    found = {name: tensor.shape for name, tensor in tensors.items()}
    wanted = header.spec.parameter_shapes()
    wrong = sorted(name for name in wanted.keys() | found.keys() if found.get(name) != wanted.get(name))
    if wrong:
        raise InputError(f"{path}: the tensor {wrong[0]!r} does not fit its spec; write the step again")
    return PossmCheckpoint(header.spec, tensors, header.training)
