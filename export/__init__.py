"""From a checkpoint to a bundle: step graph, quantization, ONNX and C."""
