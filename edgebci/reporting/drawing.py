"""What every picture shares: colours that anyone can tell apart, the page's own ink, rows with names, SVG text."""

from __future__ import annotations

import io
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe & Ito (2008): told apart with any colour vision, on white and on dark grey.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")
# Stands for the page's text colour while matplotlib draws; no other element uses it.
INK = "#010203"
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "edgebci",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}


def name_rows(axes: Axes, names: list[str]) -> None:
    """Put names at the rows 0, 1, ..., the first on top."""
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()


def svg_text(figure: Figure, title: str) -> str:
    """The picture as SVG whose ink is the colour of the page's text; the same picture gives the same bytes."""
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Title": title})
    svg = text.getvalue()
    return svg[svg.index("<svg") :].replace(INK, "currentColor")
