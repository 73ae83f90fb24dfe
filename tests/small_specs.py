"""Sizes of decoders that are small and have a bit of everything, for the tests of each form that a decoder takes."""

from __future__ import annotations

from typing import Any

from edgebci.decoder_spec import DecoderSpec
from edgebci.possm_spec import PossmStepSpec

TOKENIZER = {"channel_features": 2, "conv_taps": 3, "attention_taps": 5, "activation": "silu", "mean_frames": 100.0}
DECODERS: dict[str, dict[str, Any]] = {
    "mamba2": {},
    "s4d": {"cell": "s4d"},
    "gru": {"cell": "gru"},
    "tokenizer": {"tokenizer": TOKENIZER, "readout_lags": 3},
    "wide tokenizer": {"cell": "gru", "tokenizer": TOKENIZER | {"channel_features": 3, "activation": "gelu"}},
}
"""What sets a decoder of frames apart from the first, by the name of its form."""


def small_decoder(n_inputs: int, **fields: Any) -> DecoderSpec:
    """Two layers; `fields` choose the cell, a tokenizer or other sizes."""
    sizes: dict[str, Any] = {"d_model": 12, "n_layers": 2, "d_state": 8, "headdim": 6, "d_conv": 3}
    outputs: dict[str, Any] = {"output_names": ("vx", "vy"), "output_unit": "cm/s"}
    return DecoderSpec(n_inputs=n_inputs, **(outputs | sizes | fields))


def small_spike_decoder(backbone: str, **fields: Any) -> PossmStepSpec:
    """A step of POSSM of 20 units with two layers behind its tokens; `fields` choose other sizes."""
    sizes: dict[str, Any] = {"n_units": 20, "n_time_steps": 50, "max_tokens": 16, "chunk_s": 0.05, "memory_chunks": 3}
    sizes |= {"dim": 16, "feed_forward_hidden": 32, "hidden": 24, "n_layers": 2, "norm_epsilon": 1e-5}
    sizes |= {"d_state": 8, "headdim": 8, "expand": 2, "d_conv": 4}
    outputs: dict[str, Any] = {"output_names": ("vx", "vy"), "output_unit": "cm/s"}
    return PossmStepSpec.model_validate({"backbone": backbone} | outputs | sizes | fields)
