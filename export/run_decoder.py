"""Run a decoder that edgebci exported, frame by frame: needs Python, numpy and onnxruntime, and nothing else.

    python run_decoder.py decoder_int8.onnx frames.npy outputs.npy [--provider cpu|cuda|tensorrt]

frames.npy holds normalised features (T, n_inputs), or (T, N, 2) of a decoder of spikes; outputs.npy gets
(T, n_outputs). As a library: `decoder = BoundDecoder("decoder_int8.onnx")`, then `decoder.step(frame)` for every frame
as it comes, and `decoder.reset()` where the stream starts anew. decoder_chunk.onnx takes several frames at once, to
`step` as (n, n_inputs): for streams that arrive in packets.

Where parameters.bin and manifest.json lie beside the graph of the bundle's precision, the readout is that of
parameters.bin, which `edgebci calibrate` rewrites; frames must be normalised by its normalisation.

Every buffer is made and bound once. The states have two places each; a step reads one and writes the other, and the
next step goes the other way, so no state is copied, and on a GPU none leaves it. The decoder runs where it is told to
run: if the runtime lacks that provider, or would compute a part on the CPU instead, it is refused.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

PROVIDERS = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider",),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider"),
}
"""TensorRT leaves to CUDA what it cannot build; nothing falls back to the CPU."""
TYPES: dict[str, type[np.generic]] = {
    "float": np.float32,
    "int8": np.int8,
    "int16": np.int16,
    "int32": np.int32,
}
"""By what ONNX Runtime calls them."""
ONNX_TYPES = {1: "float32", 3: "int8", 5: "int16"}
"""By their numbers in a file."""
INT4 = 22
"""Of which two lie in a byte, the first in its low half."""


class DecoderError(ValueError):
    """One sentence on what cannot be run and what to do."""


def configuration_entries(provider: str) -> dict[str, str]:
    """Exact sums of int8 products on CPUs without VNNI; on a GPU, no node that silently runs on the CPU."""
    return {"session.x64quantprecision": "1"} | ({} if provider == "cpu" else {"session.disable_cpu_ep_fallback": "1"})


def session_options(provider: str) -> onnxruntime.SessionOptions:
    """The entries above, and one thread: a step is too small to share."""
    options = onnxruntime.SessionOptions()
    for key, value in configuration_entries(provider).items():
        options.add_session_config_entry(key, value)
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: warnings about unused provider options mean nothing here
    return options


class BoundDecoder:
    """One stream through a step graph."""

    def __init__(
        self, path: str | Path, provider: str = "cpu", options: onnxruntime.SessionOptions | None = None
    ) -> None:
        """Open the graph, with `options` in place of `session_options`, and bind its buffers.

        Raises:
            DecoderError: no such file, no step graph, or the runtime cannot run it with this provider.
        """
        self.session, self.calibrated = _open(Path(path), provider, options)
        frame, *states = self.session.get_inputs()
        output, *following = self.session.get_outputs()
        if [value.name for value in following] != [f"{value.name}.next" for value in states]:
            raise DecoderError(f"{path} is no step: its outputs are not one and the next value of each state")
        device = "cpu" if provider == "cpu" else "cuda"
        self._frame = np.zeros(frame.shape, _dtype(frame))
        self._output = np.zeros(output.shape, _dtype(output))
        self._states = [[_on(device, value) for value in states] for _ in range(2)]
        self._bindings = [self._bind(frame.name, output.name, states, k) for k in range(2)]
        self._turn = 0
        self._chunked = frame.name == "frames"

    @property
    def frames_per_step(self) -> int:
        """1, or of a chunk as many as it takes at once."""
        return int(self._frame.shape[0]) if self._chunked else 1

    @property
    def frame_like(self) -> np.ndarray[Any, Any]:
        """An array of the shape and type of a frame; the last one, before the first step zeros."""
        return self._frame.copy()

    def reset(self) -> None:
        """All states to zero, as at power-on."""
        for state in self._states[self._turn]:
            state.update_inplace(np.zeros(state.shape(), TYPES[state.data_type()[7:-1]]))

    def step(self, frame: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Decode one frame; the output is overwritten by the next step, so copy what must stay."""
        if frame.shape != self._frame.shape:
            raise DecoderError(f"a frame has shape {frame.shape}; this decoder takes {self._frame.shape}")
        np.copyto(self._frame, frame, casting="same_kind")
        binding = self._bindings[self._turn]
        self.session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        self._turn = 1 - self._turn
        return self._output

    def states(self) -> dict[str, np.ndarray[Any, Any]]:
        """Copies of the states after the last step."""
        names = [value.name for value in self.session.get_inputs()[1:]]
        return {name: state.numpy().copy() for name, state in zip(names, self._states[self._turn], strict=True)}

    def stream(
        self, frames: np.ndarray[Any, Any], reset_before: np.ndarray[Any, Any] | None = None
    ) -> np.ndarray[Any, Any]:
        """Decode (T, ...) from zero states, which `reset_before` (T,) restores; returns (T, n_outputs).

        Raises:
            DecoderError: frames that do not fill chunks, or a reset within one.
        """
        n, resets = self.frames_per_step, np.zeros(len(frames), bool) if reset_before is None else reset_before
        inside = np.count_nonzero(np.flatnonzero(resets) % n)
        if len(frames) % n or inside:
            raise DecoderError(
                f"{len(frames)} frames, started anew within a chunk {inside} times, do not fill chunks of {n}; decode "
                "the rest with the step, decoder_float.onnx or decoder_int8.onnx"
            )
        self.reset()
        outputs = np.empty((len(frames), self._output.shape[-1]), self._output.dtype)
        for k in range(0, len(frames), n):
            if resets[k]:
                self.reset()
            outputs[k : k + n] = self.step(frames[k : k + n] if self._chunked else frames[k])
        return outputs

    def _bind(self, frame: str, output: str, states: list[Any], turn: int) -> Any:
        """Read the states of `turn`, write the others."""
        binding = self.session.io_binding()
        binding.bind_ortvalue_input(frame, onnxruntime.OrtValue.ortvalue_from_numpy(self._frame))
        binding.bind_ortvalue_output(output, onnxruntime.OrtValue.ortvalue_from_numpy(self._output))
        for value, before, after in zip(states, self._states[turn], self._states[1 - turn], strict=True):
            binding.bind_ortvalue_input(value.name, before)
            binding.bind_ortvalue_output(f"{value.name}.next", after)
        return binding


def _open(
    path: Path, provider: str, options: onnxruntime.SessionOptions | None
) -> tuple[onnxruntime.InferenceSession, bool]:
    """The session, and whether its readout is that of parameters.bin."""
    if provider not in PROVIDERS:
        raise DecoderError(f"unknown provider {provider!r}; choose one of {', '.join(PROVIDERS)}")
    if not path.is_file():
        raise DecoderError(f"no file {path}; give the .onnx of the bundle")
    wanted, present = PROVIDERS[provider], onnxruntime.get_available_providers()
    missing = [name for name in wanted if name not in present]
    if missing:
        raise DecoderError(
            f"this onnxruntime lacks {', '.join(missing)} (it has {', '.join(present)}); install the build for "
            f"{provider}, or run with --provider cpu"
        )
    content, calibrated = with_parameters(path)
    try:
        options = options or session_options(provider)
        session = onnxruntime.InferenceSession(content, options, providers=list(wanted))
    except Exception as error:  # the runtime's own exceptions share no base but this one
        raise DecoderError(f"ONNX Runtime cannot open {path} with {provider} ({error})") from error
    session.disable_fallback()
    if session.get_providers()[0] != wanted[0]:
        raise DecoderError(f"ONNX Runtime took {session.get_providers()[0]} in place of {wanted[0]}; check its driver")
    return session, calibrated


def with_parameters(path: Path) -> tuple[bytes, bool]:
    """The graph's file with the readout of the parameter block beside it, and whether it has that.

    It stays as it is where there is no block, or one of another form: a bundle in int8 has a block of integers, which
    its float graph, there for comparison, does not take. The block begins with 32 bytes and ends with its check sum;
    the manifest has its layout. The file is ONNX's: field 7 of a model is its graph, 5 of a graph an initializer, of
    which 2 is the type, 8 the name and 9 the bytes.

    Raises:
        DecoderError: the block is damaged, or holds a tensor of another size.
    """
    content = bytearray(path.read_bytes())
    block, manifest = path.with_name("parameters.bin"), path.with_name("manifest.json")
    if not (block.is_file() and manifest.is_file()):
        return bytes(content), False
    places, tensors = _initializers(content), _block_tensors(block, manifest)
    readout = {name: values for name, values in tensors.items() if name.startswith("readout.")}
    stored = [_as_stored(name, values, places) for name, values in readout.items()]
    written = [(place, data) for place, data in stored if place in places]
    if not stored or len(written) < len(stored):
        return bytes(content), False
    for place, data in written:
        _, start, end = places[place]
        if end - start != len(data):
            raise DecoderError(f"{block} has {place} of another size than {path.name}; calibrate the bundle again")
        content[start:end] = data
    return bytes(content), True


def _as_stored(name: str, values: np.ndarray[Any, Any], places: dict[str, tuple[int, int, int]]) -> tuple[str, bytes]:
    """Under which name the graph keeps a tensor of this type, or '' where it does not, and its bytes there."""
    if f"{name}.half" in places and values.dtype == np.float32:
        return f"{name}.half", values.astype("<f2").tobytes()
    kind = places[name][0] if name in places else 0
    if kind == INT4 and values.dtype == np.int8:
        pairs = np.pad(values.ravel(), (0, values.size % 2)).astype(np.uint8) & 15
        return name, (pairs[::2] | pairs[1::2] << 4).astype(np.uint8).tobytes()
    return name if ONNX_TYPES.get(kind) == values.dtype.name else "", values.tobytes()


def _block_tensors(block: Path, manifest: Path) -> dict[str, np.ndarray[Any, Any]]:
    data, place, found = block.read_bytes(), 32, {}
    if data[:4] != b"EBPB" or zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise DecoderError(f"{block} is damaged: its check sum is not that of its bytes; write it again")
    layout = json.loads(manifest.read_text(encoding="utf-8")).get("parameters")
    for tensor in layout["tensors"] if layout else ():
        dtype, n = np.dtype(tensor["type"]).newbyteorder("<"), int(np.prod(tensor["shape"], dtype=int))
        found[tensor["name"]] = np.frombuffer(data, dtype, n, place).reshape(tensor["shape"])
        place += -(-n * dtype.itemsize // 4) * 4
    return found


def _initializers(content: bytearray) -> dict[str, tuple[int, int, int]]:
    """Type, start and end of the bytes of each initializer by its name."""
    found = {}
    for graph in _fields(content, 0, len(content), 7):
        for tensor in _fields(content, *graph, 5):
            (name,), raw = _fields(content, *tensor, 8), _fields(content, *tensor, 9)
            kind = _fields(content, *tensor, 2)[0][0]
            if raw:
                found[content[slice(*name)].decode()] = (content[kind], *raw[0])
    return found


def _fields(data: bytearray, start: int, end: int, wanted: int) -> list[tuple[int, int]]:
    """Where the contents of the protobuf fields of one number lie."""
    found = []
    while start < end:
        key, start = _varint(data, start)
        first = start
        if key & 7 == 0:
            _, start = _varint(data, start)
        elif key & 7 == 2:
            length, first = _varint(data, start)
            start = first + length
        else:
            start += 8 if key & 7 == 1 else 4
        if key >> 3 == wanted:
            found.append((first, start))
    return found


def _varint(data: bytearray, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value, place, shift = value | (byte & 127) << shift, place + 1, shift + 7
        if byte < 128:
            return value, place


def _dtype(value: Any) -> type[np.generic]:
    return TYPES[value.type[7:-1]]  # tensor(int16)


def _on(device: str, value: Any) -> onnxruntime.OrtValue:
    return onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(value.shape, _dtype(value)), device)


def main(arguments: list[str] | None = None) -> int:
    """The command line: 0, or 2 with a sentence."""
    parser = argparse.ArgumentParser(description="Run a decoder that edgebci exported.")
    parser.add_argument("graph", type=Path, help="decoder_float.onnx or decoder_int8.onnx")
    parser.add_argument("frames", type=Path, help=".npy of (T, n_inputs)")
    parser.add_argument("outputs", type=Path, help=".npy to write, (T, n_outputs)")
    parser.add_argument("--provider", choices=list(PROVIDERS), default="cpu")
    given = parser.parse_args(arguments)
    try:
        frames = np.load(given.frames, allow_pickle=False)
        decoder = BoundDecoder(given.graph, given.provider)
        outputs = decoder.stream(frames)
        with given.outputs.open("wb") as file:
            np.save(file, outputs, allow_pickle=False)
    except (OSError, TypeError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    readout = "the readout of parameters.bin" if decoder.calibrated else "the graph's own readout"
    sys.stdout.write(f"{len(outputs)} frames decoded on {given.provider} with {readout}, written to {given.outputs}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
