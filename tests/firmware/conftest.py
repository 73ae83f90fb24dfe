"""Builds of the C sources that several firmware tests share."""

from __future__ import annotations

import ctypes
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnx
import pytest

from edgebci.device_reference import FrontEndForm
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.c_generator import generate
from edgebci.export.c_program import with_included
from edgebci.export.quantization import quantize
from edgebci.export.quantized_graph import quantized_step_graph
from edgebci.features.front_end import FrontEnd
from edgebci.firmware_sim.toolchain import compile_host
from edgebci.quantized_decoder import QuantizedDecoder
from tests.small_specs import small_decoder

HERE = Path(__file__).resolve().parent
KERNELS = HERE.parent.parent / "export" / "kernels"


@pytest.fixture(scope="session")
def kernel_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sources of the decoder kernels alone."""
    folder = tmp_path_factory.mktemp("kernels")
    for name in with_included({"edgebci_kernels.c", "edgebci_kernels.h", "edgebci_activations.h"}):
        shutil.copy(KERNELS / name, folder)
    return folder


@pytest.fixture(scope="session")
def zig_probe(kernel_folder: Path) -> ctypes.CDLL:
    """The kernels compiled by zig -O3, as the host twin is."""
    out = compile_host(kernel_folder, kernel_folder / "probe_zig.so", "zig", "3", HERE / "native" / "kernel_probe.c")
    return ctypes.CDLL(str(out))


@pytest.fixture(scope="session", params=["zig-3", "gcc-3", "gcc-2", "gcc-0"])
def probe(request: pytest.FixtureRequest, kernel_folder: Path) -> ctypes.CDLL:
    """The kernels by every compiler and optimization: each must give the same bits."""
    compiler, optimization = request.param.split("-")
    out = kernel_folder / f"probe_{request.param}.so"
    return ctypes.CDLL(
        str(compile_host(kernel_folder, out, compiler, optimization, HERE / "native" / "kernel_probe.c"))
    )


@dataclass(frozen=True)
class Build:
    """A generated device program, its host twin and the reference that both must equal."""

    folder: Path
    sources: Path
    host: Path
    front_end: FrontEnd
    decoder: QuantizedDecoder


Builder = Callable[..., Build]


def decoder_for(n_inputs: int) -> QuantizedDecoder:
    """A small decoder with two layers, random weights and calibrated scales."""
    spec = small_decoder(n_inputs, output_names=("vx", "vy", "speed"))
    return quantize(spec, random_parameters(spec, 3), random_frames(spec, 120, 4))


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """Generates and compiles the program of a front end with a small decoder behind it; each one once."""
    built: dict[str, Build] = {}

    def make(front_end: FrontEnd, form: FrontEndForm = "float32") -> Build:
        key = f"{front_end.spec.model_dump_json()} {front_end.good_channels} {form}"
        if key not in built:
            folder = tmp_path_factory.mktemp("program")
            decoder = decoder_for(front_end.n_features)
            onnx.save(quantized_step_graph(decoder), folder / "decoder_int8.onnx")
            generate(folder / "decoder_int8.onnx", front_end, folder / "firmware", form=form)
            # The first, which most cases share, as the host twin is built; the others by another compiler, and quickly.
            sources, out = folder / "firmware", folder / "host.so"
            host = compile_host(sources, out, "gcc", "0") if built else compile_host(sources, out, "zig", "3")
            built[key] = Build(folder, folder / "firmware", host, front_end, decoder)
        return built[key]

    return make
