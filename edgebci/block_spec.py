"""The shape of one recurrent block: Mamba-2 as `mamba_ssm` has it, and REALM's variants of it as options.

Letters follow Mamba-2 (Dao & Gu 2024, arXiv 2405.21060):

    d_model    width outside the block                      d_state   N, state size of one channel
    headdim    P, channels that share one decay             expand    d_inner = expand * d_model
    d_conv     taps of the causal depthwise convolution     n_heads   d_inner / headdim
"""

from __future__ import annotations

import math

from pydantic import Field, model_validator

from edgebci.documents import Document

Shape = tuple[int, ...]


class BlockSpec(Document):
    """Sizes and variants of one block; the defaults of the variants are those of `mamba_ssm.Mamba2` (ngroups = 1)."""

    d_model: int = Field(default=64, gt=0)
    d_state: int = Field(default=16, gt=0)
    headdim: int = Field(default=32, gt=0)
    expand: int = Field(default=2, gt=0)
    d_conv: int = Field(default=4, ge=2)
    norm_epsilon: float = Field(default=1e-5, gt=0)

    late_projections: bool = False
    """in_proj gives z and x only; B, C and dt are projected from the convolved x (REALM)."""
    rotary: bool = False
    """B and C are rotated by an angle that grows with time (REALM)."""
    rotary_base: float = Field(default=1e4, gt=1)
    """Ratio of the fastest to about the slowest rotation; the fastest turns by one radian per frame."""
    input_scaled_by_dt: bool = True
    """h = decay h + dt x B'; False: h = decay h + x B' (REALM)."""
    gated_norm: bool = True
    """out_proj sees rms_norm(y silu(z)); False: y silu(z) (REALM)."""

    @model_validator(mode="after")
    def _heads_and_rotations_fit(self) -> BlockSpec:
        if self.d_inner % self.headdim:
            raise ValueError(
                f"headdim {self.headdim} does not divide expand * d_model = {self.d_inner}; choose a divisor"
            )
        if self.rotary and self.d_state % 2:
            raise ValueError(f"d_state {self.d_state} is odd, but rotary turns pairs of states; choose an even number")
        return self

    @property
    def d_inner(self) -> int:
        """Width inside a block."""
        return self.expand * self.d_model

    @property
    def n_heads(self) -> int:
        """Heads, each with one decay per step."""
        return self.d_inner // self.headdim

    @property
    def conv_dim(self) -> int:
        """Channels of the convolution: x, and B and C unless they are projected later."""
        return self.d_inner if self.late_projections else self.d_inner + 2 * self.d_state

    @property
    def d_in_proj(self) -> int:
        """Rows of in_proj: z and what is convolved, and dt unless it is projected later."""
        return self.d_inner + self.conv_dim + (0 if self.late_projections else self.n_heads)

    @property
    def n_rotations(self) -> int:
        """Pairs of states that turn together."""
        return self.d_state // 2 if self.rotary else 0

    def parameter_shapes(self) -> dict[str, Shape]:
        """Shape of each trained tensor of a Mamba-2 block; without options, names and shapes of `mamba_ssm.Mamba2`."""
        shapes: dict[str, Shape] = {
            "in_proj.weight": (self.d_in_proj, self.d_model),
            "conv1d.weight": (self.conv_dim, 1, self.d_conv),
            "conv1d.bias": (self.conv_dim,),
            **self._step_shapes(),
            "A_log": (self.n_heads,),
            "D": (self.n_heads,),
        }
        if self.gated_norm:
            shapes["norm.weight"] = (self.d_inner,)
        return shapes | {"out_proj.weight": (self.d_model, self.d_inner)}

    def _step_shapes(self) -> dict[str, Shape]:
        if not self.late_projections:
            return {"dt_bias": (self.n_heads,)}
        return {
            "bc_proj.weight": (2 * self.d_state, self.d_inner),
            "dt_proj.weight": (self.n_heads, self.d_inner),
            "dt_proj.bias": (self.n_heads,),
        }

    @property
    def n_parameters(self) -> int:
        """Trained numbers of one Mamba-2 block."""
        return sum(math.prod(shape) for shape in self.parameter_shapes().values())
