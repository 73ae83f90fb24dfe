"""The shape of a decoder: what training builds, export unrolls into a step and firmware computes.

Letters follow Mamba-2 (Dao & Gu 2024, arXiv 2405.21060):

    n_inputs   features in one frame                    d_model   width of the residual stream
    d_state    N, state size of one channel             headdim   P, channels that share one decay
    expand     d_inner = expand * d_model               d_conv    taps of the causal depthwise convolution
    n_heads    d_inner / headdim                        conv_dim  d_inner + 2 * d_state (x, B and C together)

Parameter names inside `layers.{i}.mixer` are those of its cell: `mamba_ssm.Mamba2` with ngroups = 1, or our S4D or GRU.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from edgebci.block_spec import BlockSpec
from edgebci.block_spec import Shape as Shape
from edgebci.documents import Document
from edgebci.operators.cell import Cell
from edgebci.operators.cells import CellKind, cell_of
from edgebci.operators.entry import Entry
from edgebci.operators.linear_entry import LinearEntry
from edgebci.operators.stack import STACK
from edgebci.operators.tokenizer import TokenizerEntry, TokenizerSpec

_LATER = ("cell", "tokenizer", "readout_lags")
"""Fields that the first files lack: left out where they have their default, so that old decoders keep their bytes."""


class DecoderSpec(Document):
    """Sizes of a causal decoder: an entry, layers x + cell(rms_norm(x)), a linear readout of the normalised stream."""

    n_inputs: int = Field(gt=0, le=65536)
    output_names: tuple[str, ...] = Field(min_length=1)
    output_unit: str
    d_model: int = Field(default=64, gt=0, le=1024)
    n_layers: int = Field(default=2, gt=0, le=64)
    d_state: int = Field(default=16, gt=0, le=256)
    headdim: int = Field(default=32, gt=0)
    expand: int = Field(default=2, gt=0, le=8)
    d_conv: int = Field(default=4, ge=2, le=8)
    norm_epsilon: float = Field(default=1e-5, gt=0)
    cell: CellKind = "mamba2"
    """What the layers are made of; s4d reads d_model and d_state, gru d_model alone."""
    tokenizer: TokenizerSpec | None = None
    """How a frame of one value per channel becomes a token; None is one matrix."""
    readout_lags: int = Field(default=0, ge=0, le=64)
    """Past frames of the normalised stream that the readout sees beside the newest."""

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        defaults = {name: type(self).model_fields[name].default for name in _LATER}
        return {name: value for name, value in written.items() if name not in _LATER or value != defaults[name]}

    @model_validator(mode="after")
    def _kernels_can_run_it(self) -> DecoderSpec:
        if self.cell == "mamba2" and self.d_inner % self.headdim:
            raise ValueError(
                f"headdim {self.headdim} does not divide expand * d_model = {self.d_inner}; choose a divisor"
            )
        for name, size in (("d_model", self.d_model), ("d_state", self.d_state)):
            if size % 4:
                raise ValueError(f"{name} {size} is not a multiple of 4, the lanes of the defined order of sums")
        return self

    @property
    def n_outputs(self) -> int:
        """Decoded axes."""
        return len(self.output_names)

    @property
    def d_inner(self) -> int:
        """Width inside a block."""
        return self.expand * self.d_model

    @property
    def block(self) -> BlockSpec:
        """Sizes of one of its cells; heads are those of mamba2."""
        return BlockSpec(
            d_model=self.d_model,
            d_state=self.d_state,
            headdim=self.headdim if self.cell == "mamba2" else self.d_inner,
            expand=self.expand,
            d_conv=self.d_conv,
            norm_epsilon=self.norm_epsilon,
        )

    @property
    def n_heads(self) -> int:
        """Heads, each with one decay per step."""
        return self.d_inner // self.headdim

    @property
    def conv_dim(self) -> int:
        """Channels of the convolution: x, B, C."""
        return self.block.conv_dim

    @property
    def d_in_proj(self) -> int:
        """Rows of in_proj: z, x, B, C, dt."""
        return self.block.d_in_proj

    @property
    def layer(self) -> Cell:
        """The cell of each layer."""
        return cell_of(self.cell, self.block)

    @property
    def entry(self) -> Entry:
        """What makes a token of a frame."""
        if self.tokenizer:
            return TokenizerEntry(self.tokenizer, self.n_inputs, self.d_model, self.norm_epsilon)
        return LinearEntry(self.n_inputs, self.d_model)

    def state_shapes(self) -> dict[str, Shape]:
        """Shape of each state of one stream, in the order in which the step takes them: those of the entry, then
        `{state}.{i}` for each state of layer i's cell, then that of a readout over lags.
        """
        cell = self.layer.state_shapes()
        layers = {f"{name}.{i}": shape for i in range(self.n_layers) for name, shape in cell.items()}
        stack = {STACK: (self.readout_lags, self.d_model)} if self.readout_lags else {}
        return self.entry.state_shapes() | layers | stack

    def state_types(self) -> dict[str, str]:
        """Type of each state in the quantized decoder: int16; int32 for long means; int8 for past inputs of a layer."""
        types = dict.fromkeys(self.state_shapes(), "int16") | self.entry.state_types()
        return types | ({STACK: "int8"} if self.readout_lags else {})

    def parameter_shapes(self) -> dict[str, Shape]:
        """Shape of each trained tensor by its name in the checkpoint."""
        shapes, cell = self.entry.parameter_shapes(), self.layer.parameter_shapes()
        for i in range(self.n_layers):
            shapes[f"layers.{i}.norm.weight"] = (self.d_model,)
            shapes |= {f"layers.{i}.mixer.{name}": shape for name, shape in cell.items()}
        shapes["norm.weight"] = (self.d_model,)
        shapes["readout.weight"] = (self.n_outputs, (self.readout_lags + 1) * self.d_model)
        shapes["readout.bias"] = (self.n_outputs,)
        return shapes
