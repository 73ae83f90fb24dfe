"""Training: a bidirectional teacher by masked autoencoding, a causal student by distillation, and a ridge baseline."""
