"""REALM: a bidirectional Mamba-2 teacher, masked autoencoding, and distillation with hindsight into a causal student."""
