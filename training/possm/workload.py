"""What one output of a POSSM step costs, counted exactly from its sizes: nothing is estimated or measured.

A MAC is one multiplication whose product is added. Counted are dense layers, the weighted sums of both attentions, and
a state's decay, injection and readout. What is done once per element (activations, norms, exp) is left out, as usual.
"""

from __future__ import annotations

import math

from edgebci.documents import Document
from edgebci.operators.cells import cell_of
from edgebci.possm_spec import PossmStepSpec

EDGE_MACS = 100_000
"""Most MACs per output beyond tokenisation that an edge decoder may need."""
EDGE_FLASH_BYTES = 256 * 1024
_FLOAT32 = 4


class PossmWorkload(Document):
    """Counts per chunk, which gives one output, and bytes with int8 weights."""

    token_macs: int
    """Weighted sum of values over as many tokens as there may be."""
    beyond_macs: int
    """Feed-forward parts, backbone, attention over states, readout."""
    table_bytes: int
    """Scores and values of the units, in float32; the exporter keeps them in 2 bytes and 1."""
    weight_bytes: int
    """int8 matrices with a scale and a bias per row in float32, and every vector in float32."""
    state_values: int
    """Numbers that a stream carries from chunk to chunk."""

    @property
    def flash_bytes(self) -> int:
        """Tables and weights."""
        return self.table_bytes + self.weight_bytes

    @property
    def fits_edge(self) -> bool:
        """Whether both limits of an edge decoder hold."""
        return self.beyond_macs <= EDGE_MACS and self.flash_bytes <= EDGE_FLASH_BYTES

    def summary(self) -> str:
        """One line for a report."""
        return (
            f"at most {self.token_macs:,} MACs per output in tokenisation and {self.beyond_macs:,} beyond it, "
            f"{self.table_bytes:,} bytes of tables and {self.weight_bytes:,} of weights, {self.state_values:,} state "
            "values"
        )


def possm_workload(spec: PossmStepSpec) -> PossmWorkload:
    """Count one step."""
    shapes = spec.parameter_shapes()
    tables = [math.prod(shapes.pop(name)) for name in ("score", "value")]
    outside = {name: shape for name, shape in shapes.items() if ".mixer." not in name}
    matrices = [shape for name, shape in outside.items() if len(shape) == 2 and name != "age"]
    vectors = sum(math.prod(shape) for name, shape in outside.items() if len(shape) == 1 or name == "age")
    # The GRU's tensors are matrices and vectors of the step itself; cells of states count their own.
    cell = None if spec.backbone == "gru" else cell_of(spec.backbone, spec.block).costs()
    if cell is not None:
        matrices += spec.n_layers * list(cell.dense)
    within = 0 if cell is None else spec.n_layers * (cell.conv_macs + cell.state_macs)
    constants = 0 if cell is None else spec.n_layers * cell.vector_bytes
    return PossmWorkload(
        token_macs=spec.max_tokens * spec.dim,
        beyond_macs=sum(r * c for r, c in matrices) + 2 * spec.memory_chunks * spec.hidden + within,
        table_bytes=_FLOAT32 * sum(tables),
        weight_bytes=sum(r * c + _FLOAT32 * r for r, c in matrices) + _FLOAT32 * vectors + constants,
        state_values=sum(math.prod(shape) for shape in spec.state_shapes().values()),
    )
