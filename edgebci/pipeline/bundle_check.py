"""`edgebci bundle verify`: is a bundle what it was when it was exported, and does it compute that here?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray

from edgebci.bundle import FLOAT_ONNX, INT8_ONNX, MANIFEST, Bundle, BundleFiles, bundle_faults, open_bundle
from edgebci.documents import Document
from edgebci.errors import InputError, VerificationError
from edgebci.export.decoder_forms import verify_integers
from edgebci.export.parameter_graph import with_parameters
from edgebci.export.step_runner import OnnxStepRunner, evaluator_step, open_session
from edgebci.export.stream_comparison import FLOAT_TOLERANCE, QuantizedReference
from edgebci.fixed_decoder import FixedDecoder
from edgebci.foreign.bundle import open_foreign_bundle
from edgebci.pipeline.bundle_kinds import Kind, manifest_of
from edgebci.possm_bundle import PossmManifest, open_possm_bundle
from edgebci.possm_spec import PossmStepSpec
from edgebci.progress import Progress, part

SEED = 20
"""Of the random stream."""
_EVALUATED = 40
"""Steps through onnx's reference evaluator, which is slow."""


class BundleCheck(Document):
    """What was found in order."""

    bundle: Path
    kind: Kind
    bundle_id: str
    files: int
    """Compared with their hashes."""
    graphs: tuple[str, ...]
    """Opened in ONNX Runtime."""
    float_steps: int
    """Of a random stream, over which ONNX Runtime and onnx's reference evaluator agreed on the float graph."""
    quantized_steps: int
    """Of a random stream with resets, over which the int8 graph agreed with the bit-exact reference; 0: has none."""
    parameter_block: bool
    """Whether there is one; its check sum and the bundle that it names were right."""
    notes: tuple[str, ...]


def verify_bundle(folder: Path, steps: int, progress: Progress) -> BundleCheck:
    """Compare hashes, open every graph, and run them over `steps` of a random stream.

    Raises:
        InputError: there is no bundle, or its manifest cannot be read.
        VerificationError: it is damaged, or computes something else than its reference.
    """
    kind, manifest = manifest_of(folder)
    progress(0.0, "comparing hashes")
    if faults := bundle_faults(folder, manifest):
        raise VerificationError(f"the bundle {folder} is damaged: {'; '.join(faults)}; export the decoder again")
    progress(0.1, "opening the graphs")
    graphs = tuple(_opened(folder, name) for name in manifest.files if name.endswith(".onnx") and "/" not in name)
    try:
        decoder, tensors = _reference(folder, kind)
    except InputError as error:  # hashes are right, so what is inside is not
        raise VerificationError(str(error)) from error
    frames = _random_frames(folder, manifest, steps)
    if (folder / FLOAT_ONNX).is_file():
        _check_float(folder / FLOAT_ONNX, frames[:_EVALUATED])
    if decoder is not None:
        resets = np.isin(np.arange(len(frames)), (0, len(frames) // 2))
        model = with_parameters(onnx.load(folder / INT8_ONNX), tensors)
        verify_integers(model, decoder, frames, resets, progress=part(progress, 0.3, 1.0))
    progress(1.0, "verified")
    return BundleCheck(
        bundle=folder,
        kind=kind,
        bundle_id=manifest.bundle_id,
        files=len(manifest.files),
        graphs=graphs,
        float_steps=min(_EVALUATED, len(frames)) if (folder / FLOAT_ONNX).is_file() else 0,
        quantized_steps=len(frames) if decoder is not None else 0,
        parameter_block=bool(tensors),
        notes=_notes(folder, set(manifest.files)),
    )


def _opened(folder: Path, name: str) -> str:
    """A graph opens; those in folders are of a target's own runtime."""
    try:
        onnx.checker.check_model(str(folder / name), full_check=True)
        open_session(folder / name)
    except (InputError, DecodeError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise VerificationError(f"{folder / name} cannot be run: {error}") from error
    return name


def _reference(folder: Path, kind: Kind) -> tuple[QuantizedReference | FixedDecoder | None, dict[str, NDArray[Any]]]:
    """The bit-exact reference of the int8 graph, if there is one, and what the parameter block holds."""
    has_integers = (folder / INT8_ONNX).is_file()
    if kind == "spikes":
        spikes = open_possm_bundle(folder)
        return spikes.quantized_decoder() if has_integers else None, {}
    if kind == "foreign":
        return open_foreign_bundle(folder).decoder() if has_integers else None, {}
    bundle: Bundle = open_bundle(folder)
    block = bundle.parameters()
    return bundle.quantized_decoder() if has_integers else None, dict(block.tensors) if block else {}


def _random_frames(folder: Path, manifest: BundleFiles, steps: int) -> NDArray[Any]:
    rng = np.random.default_rng(SEED)
    if isinstance(manifest, PossmManifest):
        return _random_chunks(manifest.spec, steps, rng)
    width = next(v for v in onnx.load(folder / FLOAT_ONNX).graph.input if v.name == "frame").type.tensor_type.shape
    return rng.standard_normal((steps, width.dim[0].dim_value)).astype(np.float32)


def _random_chunks(spec: PossmStepSpec, steps: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """Chunks (T, N, 2) with from no spike, which is one token of row 0, to as many as fit."""
    chunks = np.full((steps, spec.max_tokens, 2), (-1, 0), np.int32)
    for chunk in chunks:
        n = int(rng.integers(0, spec.max_tokens + 1))
        chunk[:n, 0] = rng.integers(1, spec.n_units + 1, n)
        chunk[:n, 1] = np.sort(rng.integers(0, spec.n_time_steps, n))
        if n == 0:
            chunk[0] = 0
    return chunks


def _check_float(path: Path, frames: NDArray[Any]) -> None:
    """Both implementations over the same stream, each with its own states."""
    runner, step = OnnxStepRunner(path), evaluator_step(onnx.load(path))
    outputs, states = runner.stream(frames), runner.initial_states()
    dtype = next(np.int32 if "int32" in v.type else np.float32 for v in open_session(path).get_inputs())
    largest = max(float(np.abs(outputs).max()), 1e-6)
    for k, frame in enumerate(frames.astype(dtype)):
        found = step({"frame": frame, **states})
        if not np.abs(found["output"] - outputs[k]).max() <= FLOAT_TOLERANCE * largest:
            raise VerificationError(
                f"{path}: at step {k} ONNX Runtime and onnx's reference evaluator differ by more than "
                f"{FLOAT_TOLERANCE:g} of the largest output; try another onnxruntime"
            )
        states = {name: found[f"{name}.next"] for name in states}


def _notes(folder: Path, known: set[str]) -> tuple[str, ...]:
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    strangers = sorted(found - known - {MANIFEST})
    return (f"not of the bundle: {', '.join(strangers)}",) if strangers else ()
