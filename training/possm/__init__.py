"""POSSM: single spikes as tokens, one latent per chunk of 50 ms, a recurrent backbone, outputs at any time.

Ryoo et al. 2025, arXiv 2506.05320. Nothing of `pytorch_brain`, which holds the authors' code on a branch, is used here:
it pins einops 0.6.1, hydra and torchtyping, which cannot be installed beside our versions.
"""
