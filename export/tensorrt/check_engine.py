"""Hold the engine on this board to what its graph gave where it was exported: 0 if it decodes the same, 1 if not.

    python3 check_engine.py [--engine decoder.plan]

Frames and the outputs that ONNX Runtime gave for them travel in the folder. The two never agree bit for bit: fp16 is
rounded in another order, and a value near a tie of a quantizer then takes the next count. So the noise between them is
held to a level below the signal; what two other implementations of such graphs differ by lies far under it, and a layer
or a state that is wrong far above.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgebci.export.tensorrt.cuda_buffers import CudaError
from edgebci.export.tensorrt.run_decoder import ENGINE, open_decoder

FRAMES, OUTPUTS, RECORD = "check_frames.npy", "check_outputs.npy", "jetson.json"
LEAST_DB = {"fp32": 80.0, "fp16": 40.0, "int8": 20.0}
"""ONNX Runtime and onnx's evaluator, which round at other places, were seen 29 to 50 dB apart in int8, 50 in fp16."""


def agreement_db(expected: np.ndarray[Any, Any], found: np.ndarray[Any, Any]) -> float:
    """Signal over difference, of outputs (T, n_outputs); infinite where there is none, NaN where one is not finite."""
    signal, noise = (float(np.sum(np.square(values, dtype=np.float64))) for values in (expected, found - expected))
    return math.inf if noise == 0.0 else 10.0 * math.log10(signal / noise) if signal > 0.0 else -math.inf


def judged(expected: np.ndarray[Any, Any], found: np.ndarray[Any, Any], precision: str) -> tuple[bool, str]:
    """Whether the engine passes, and a sentence."""
    least, level = LEAST_DB[precision], agreement_db(expected, found)
    passed = found.shape == expected.shape and level >= least
    verdict = "decodes what its graph decodes" if passed else "does not decode what its graph decodes"
    return passed, f"the engine {verdict}: {level:.1f} dB over {len(expected)} steps, at least {least:g} are needed"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: 0, 1 where the engine decodes something else, 2 with a sentence where nothing was checked."""
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description="Compare an engine with the graph that it was built from.")
    parser.add_argument("--engine", type=Path, default=here / ENGINE)
    given = parser.parse_args(arguments)
    try:
        precision = json.loads((here / RECORD).read_text(encoding="utf-8"))["precision"]
        frames, expected = (np.load(here / name, allow_pickle=False) for name in (FRAMES, OUTPUTS))
        decoder = open_decoder(given.engine)
        found = decoder.stream(frames.astype(decoder.frame_dtype))
    except (OSError, ValueError, KeyError, CudaError) as error:
        sys.stderr.write(f"error: {error}; nothing was checked\n")
        return 2
    passed, sentence = judged(expected, found, precision)
    sys.stdout.write(sentence + "\n")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
