"""Training: a bidirectional teacher by masked autoencoding, a causal student by distillation, and a ridge baseline."""

import os

# Threads that wait for each other by spinning, libgomp's default, take several times as long on a machine that does
# anything else meanwhile. The variable is read when torch is loaded, so it is set before.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
