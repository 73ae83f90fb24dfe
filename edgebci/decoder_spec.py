"""The shape of a decoder: what training builds, export unrolls into a step and firmware computes.

Letters follow Mamba-2 (Dao & Gu 2024, arXiv 2405.21060):

    n_inputs   features in one frame                    d_model   width of the residual stream
    d_state    N, state size of one channel             headdim   P, channels that share one decay
    expand     d_inner = expand * d_model               d_conv    taps of the causal depthwise convolution
    n_heads    d_inner / headdim                        conv_dim  d_inner + 2 * d_state (x, B and C together)

Parameter names inside `layers.{i}.mixer` are those of `mamba_ssm.Mamba2` with ngroups = 1.
"""

from __future__ import annotations

from pydantic import Field, model_validator

from edgebci.block_spec import BlockSpec
from edgebci.block_spec import Shape as Shape
from edgebci.documents import Document


class DecoderSpec(Document):
    """Sizes of a causal Mamba-2 decoder with a linear input and a linear readout."""

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

    @model_validator(mode="after")
    def _kernels_can_run_it(self) -> DecoderSpec:
        if self.d_inner % self.headdim:
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
        """Sizes of one of its Mamba-2 blocks."""
        return BlockSpec(
            d_model=self.d_model,
            d_state=self.d_state,
            headdim=self.headdim,
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

    def state_shapes(self) -> dict[str, Shape]:
        """Shape of each state of one stream, in the order in which the step takes them.

        `conv.{i}` (conv_dim, d_conv - 1) holds the last inputs of the convolution, oldest first;
        `ssm.{i}` (n_heads, headdim, d_state) is h.
        """
        shapes: dict[str, Shape] = {}
        for i in range(self.n_layers):
            shapes[f"conv.{i}"] = (self.conv_dim, self.d_conv - 1)
            shapes[f"ssm.{i}"] = (self.n_heads, self.headdim, self.d_state)
        return shapes

    def parameter_shapes(self) -> dict[str, Shape]:
        """Shape of each trained tensor by its name in the checkpoint."""
        shapes: dict[str, Shape] = {"input.weight": (self.d_model, self.n_inputs), "input.bias": (self.d_model,)}
        for i in range(self.n_layers):
            shapes[f"layers.{i}.norm.weight"] = (self.d_model,)
            shapes |= {f"layers.{i}.mixer.{name}": shape for name, shape in self.block.parameter_shapes().items()}
        shapes["norm.weight"] = (self.d_model,)
        shapes["readout.weight"] = (self.n_outputs, self.d_model)
        shapes["readout.bias"] = (self.n_outputs,)
        return shapes
