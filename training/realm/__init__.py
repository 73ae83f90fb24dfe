"""REALM: a bidirectional Mamba-2 teacher, masked autoencoding, distillation with hindsight to a causal student."""
