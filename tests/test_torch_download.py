from __future__ import annotations

from pathlib import Path
from typing import Any

from edgebci.torch_download import Download, cuda_files, warning


def report(tmp_path: Path, names: list[str]) -> dict[str, Any]:
    # A file: address has a length like an http: one, so the real size look-up runs.
    rows = []
    for name in names:
        (tmp_path / name).write_bytes(b"0" * 1000)
        rows.append({"metadata": {"name": name}, "download_info": {"url": (tmp_path / name).as_uri()}})
    return {"install": rows}


def test_a_cpu_build_raises_no_warning(tmp_path: Path) -> None:
    assert cuda_files(report(tmp_path, ["torch", "sympy", "numpy"])) == []


def test_a_cuda_build_is_counted_with_its_libraries(tmp_path: Path) -> None:
    found = cuda_files(report(tmp_path, ["torch", "nvidia-cudnn-cu13", "triton", "sympy"]))
    assert {d.name for d in found} == {"torch", "nvidia-cudnn-cu13", "triton"}
    assert all(d.size_bytes == 1000 for d in found)


def test_the_warning_gives_the_size_and_the_way_out() -> None:
    downloads = [Download("torch", "", 900_000_000), Download("nvidia-cublas", "", 2_100_000_000)]
    assert "2 files, 3.0 GB" in warning(downloads)
    assert "make demo TORCH_INDEX=" in warning(downloads)


def test_an_unknown_size_is_not_counted_as_nothing() -> None:
    assert "at least 0.9 GB" in warning([Download("torch", "", 900_000_000), Download("triton", "", None)])
