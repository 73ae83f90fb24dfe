"""`edgebci proof`: measure every figure that the README quotes."""

from __future__ import annotations


def proof() -> None:
    """Measure every figure that the README quotes, and write examples/proof.json (long, resumable)."""
