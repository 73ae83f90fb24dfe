"""Every operator: its form by its class in the core, and its translation to C by its name in ONNX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgebci.export.c_operation import Translate
from edgebci.export.operators import dense_widths, gru, mamba2, memory_attention, s4d, stack, token_attention, tokenizer
from edgebci.export.operators.form import CellForm, EntryForm
from edgebci.export.operators.linear_entry import LinearForm
from edgebci.operators.cell import Cell
from edgebci.operators.entry import Entry
from edgebci.operators.gru import GruCell
from edgebci.operators.linear_entry import LinearEntry
from edgebci.operators.mamba2 import Mamba2Cell
from edgebci.operators.s4d import S4DCell
from edgebci.operators.tokenizer import TokenizerEntry

_CELLS: dict[type[Cell], Callable[[Any], CellForm]] = {
    Mamba2Cell: mamba2.Mamba2Form,
    S4DCell: s4d.S4DForm,
    GruCell: gru.GruForm,
}
_ENTRIES: dict[type[Entry], Callable[[Any], EntryForm]] = {
    LinearEntry: LinearForm,
    TokenizerEntry: tokenizer.TokenizerForm,
}
C_OPERATORS: dict[str, Translate] = {
    **dense_widths.C_OPERATORS,
    **mamba2.C_OPERATORS,
    **s4d.C_OPERATORS,
    **gru.C_OPERATORS,
    **tokenizer.C_OPERATORS,
    **stack.C_OPERATORS,
    **token_attention.C_OPERATORS,
    **memory_attention.C_OPERATORS,
}


def cell_form(cell: Cell) -> CellForm:
    """How the exporter writes this cell."""
    return _CELLS[type(cell)](cell)


def entry_form(entry: Entry) -> EntryForm:
    """How the exporter writes this entry."""
    return _ENTRIES[type(entry)](entry)
