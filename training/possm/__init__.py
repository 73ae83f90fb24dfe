"""POSSM: spike tokens, cross-attention, and a recurrent state-space backbone."""
