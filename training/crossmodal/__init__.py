"""Cross-modal distillation: a multi-session spike transformer teaches a decoder of LFP."""
