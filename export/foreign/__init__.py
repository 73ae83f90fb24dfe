"""Decoders that someone made elsewhere: read, checked, made small, quantized, proved and written as C."""
