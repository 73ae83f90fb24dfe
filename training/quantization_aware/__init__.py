"""Quantization-aware training: the decoder in the device's integers, with gradients, taught by its own float form."""
