"""Placing tensors that never live at the same time into the same work memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgebci.errors import InputError
from edgebci.export.c_operation import Buffer, Operation


@dataclass
class Slot:
    """One array of the context."""

    name: str
    c_type: str
    size: int
    holds: str = ""  # the tensor that it holds now


@dataclass(frozen=True)
class Plan:
    """Where each tensor is: `places` maps tensors to C expressions, `slots` are the arrays to declare."""

    places: dict[str, str]
    slots: tuple[Slot, ...]


@dataclass
class _Planner:
    slots: list[Slot] = field(default_factory=list)

    def take(self, buffer: Buffer) -> Slot:
        """A free slot of the right type that must grow least, or a new one."""
        free = [slot for slot in self.slots if slot.c_type == buffer.c_type and not slot.holds]
        if not free:
            prefix = "f" if buffer.c_type == "float" else "q"
            number = sum(slot.c_type == buffer.c_type for slot in self.slots)
            free = [Slot(f"{prefix}{number}", buffer.c_type, 0)]
            self.slots.append(free[0])
        chosen = min(free, key=lambda slot: (max(0, buffer.size - slot.size), slot.size))
        chosen.size = max(chosen.size, buffer.size)
        chosen.holds = buffer.tensor
        return chosen

    def release(self, tensors: list[str]) -> None:
        """Free the slots of tensors that nobody reads any more."""
        for slot in self.slots:
            slot.holds = "" if slot.holds in tensors else slot.holds


def plan_memory(operations: list[Operation], fixed: dict[str, str]) -> Plan:
    """Give every tensor a place; `fixed` are those that already have one (the frame, the output)."""
    last_read = {tensor: i for i, operation in enumerate(operations) for tensor in operation.reads}
    places, planner = dict(fixed), _Planner()
    for i, operation in enumerate(operations):
        if operation.destroys and last_read[operation.destroys] != i:
            raise InputError(f"{operation.node.name} uses up {operation.destroys!r}, which another node reads too")
        finished = [tensor for tensor in operation.reads if last_read[tensor] == i]
        if operation.overwrites:
            planner.release(finished)
        if operation.writes.tensor not in fixed:
            places[operation.writes.tensor] = f"c->{planner.take(operation.writes).name}"
        if not operation.overwrites:
            planner.release(finished)
    return Plan(places, tuple(planner.slots))
