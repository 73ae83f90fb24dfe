"""Bundles for Jetson boards: a strongly typed graph for TensorRT and the programs that build, run and time it."""
