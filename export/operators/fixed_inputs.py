"""What the step of a Mamba-2 block in fixed point takes beside its input, in order: graphs write it, C reads it."""

STATES = ("conv", "ssm", "x", "B", "kept", "phase")
WEIGHTS = (
    *("conv_weight", "conv_multiplier", "conv_bias", "silu", "dt_bias", "A", "skip"),
    *("readout", "state_gain", "inject", "c_shift", "gate_shift"),
)
