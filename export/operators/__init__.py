"""How each operator of the core is exported: its scales, its ONNX nodes and functions, its call in C."""
