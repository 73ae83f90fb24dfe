"""The decoders that ours are measured against."""
