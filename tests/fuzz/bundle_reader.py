"""Fuzzes the reader of bundles: whatever a file of a bundle holds, opening it succeeds or raises an InputError.

    python tests/fuzz/bundle_reader.py BUNDLE tests/fuzz/seeds/bundle_reader -max_total_time=600

runs atheris (coverage-guided; `pip install atheris`). tests/host/test_fuzzing.py drives the same `read_changed` by
hypothesis where atheris is absent. An input is: which file, where in it, how many bytes go, and the bytes put there.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

HEAD = 5


def read_changed(bundle: Path, work: Path, data: bytes) -> bool:
    """Change one file of a copy of `bundle` in `work` as `data` says, and open it; returns whether it was refused.

    Every hash in the manifest is put right, so that what lies behind the hashes is reached too.
    """
    from edgebci.errors import InputError

    if len(data) < HEAD:
        return False
    names = sorted(path.name for path in bundle.iterdir() if path.is_file() and path.suffix != ".onnx")
    name, content = names[data[0] % len(names)], bytearray((bundle / names[data[0] % len(names)]).read_bytes())
    start = int.from_bytes(data[1:4], "little") % (len(content) + 1)
    content[start : start + data[4]] = data[HEAD:]
    try:
        (work / name).write_bytes(content)
        if name != "manifest.json":
            put_hashes_right(work, name)
        open_all(work)
    except InputError:
        return True
    finally:
        for changed in (name, "manifest.json"):
            shutil.copyfile(bundle / changed, work / changed)
    return False


def put_hashes_right(folder: Path, name: str) -> None:
    """Let the manifest have the hash and size that a file has now."""
    import json

    from edgebci.files import sha256

    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    if name in manifest["files"]:
        manifest["files"][name] = {"sha256": sha256(folder / name), "size_bytes": (folder / name).stat().st_size}
        (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def open_all(folder: Path) -> None:
    """Everything that a bundle is opened for."""
    from edgebci.bundle import open_bundle

    opened = open_bundle(folder)
    opened.front_end()
    opened.parameters()
    if (folder / "quantized.safetensors").is_file():
        opened.quantized_decoder()


def main() -> None:
    """Run atheris over a bundle."""
    import atheris

    bundle = Path(sys.argv.pop(1))
    with atheris.instrument_imports(include=["edgebci"]):
        import edgebci.bundle  # noqa: F401
    with tempfile.TemporaryDirectory() as name:
        work = Path(name) / "bundle"
        shutil.copytree(bundle, work)
        atheris.Setup(sys.argv, lambda data: read_changed(bundle, work, data))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
