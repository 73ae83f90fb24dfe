"""Every recurrent cell that a decoder may be built of, by its name in a specification."""

from __future__ import annotations

from typing import Literal

from edgebci.block_spec import BlockSpec
from edgebci.operators.cell import Cell
from edgebci.operators.gru import GruCell
from edgebci.operators.mamba2 import Mamba2Cell
from edgebci.operators.s4d import S4DCell

CellKind = Literal["mamba2", "s4d", "gru"]
CELLS: dict[CellKind, type[Cell]] = {"mamba2": Mamba2Cell, "s4d": S4DCell, "gru": GruCell}


def cell_of(kind: CellKind, block: BlockSpec) -> Cell:
    """The cell of that kind in that size."""
    return CELLS[kind](block)
