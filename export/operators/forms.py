"""Every operator's form by its class in the core."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgebci.export.operators.form import CellForm, EntryForm
from edgebci.export.operators.gru import GruForm
from edgebci.export.operators.linear_entry import LinearForm
from edgebci.export.operators.mamba2 import Mamba2Form
from edgebci.export.operators.s4d import S4DForm
from edgebci.export.operators.tokenizer import TokenizerForm
from edgebci.operators.cell import Cell
from edgebci.operators.entry import Entry
from edgebci.operators.gru import GruCell
from edgebci.operators.linear_entry import LinearEntry
from edgebci.operators.mamba2 import Mamba2Cell
from edgebci.operators.s4d import S4DCell
from edgebci.operators.tokenizer import TokenizerEntry

_CELLS: dict[type[Cell], Callable[[Any], CellForm]] = {Mamba2Cell: Mamba2Form, S4DCell: S4DForm, GruCell: GruForm}
_ENTRIES: dict[type[Entry], Callable[[Any], EntryForm]] = {LinearEntry: LinearForm, TokenizerEntry: TokenizerForm}


def cell_form(cell: Cell) -> CellForm:
    """How the exporter writes this cell."""
    return _CELLS[type(cell)](cell)


def entry_form(entry: Entry) -> EntryForm:
    """How the exporter writes this entry."""
    return _ENTRIES[type(entry)](entry)
