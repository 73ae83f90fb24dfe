"""What a verification found: how closely the forms of one decoder agree. Parts of a bundle's manifest."""

from __future__ import annotations

from edgebci.documents import Document


class FloatAgreement(Document):
    """The float graph against the NumPy decoder in float64, each run carrying its own states."""

    steps: int
    """Steps through ONNX Runtime."""
    evaluator_steps: int
    """First steps, through the inlined graph and onnx's reference evaluator, which is slow."""
    tolerance: float
    """Largest error allowed, relative to the largest magnitude of the tensor in its chunk of the stream."""
    largest_error: dict[str, float]
    """By implementation, in the same measure."""


class QuantizerAgreement(Document):
    """One quantizer of the quantized graph in ONNX Runtime against the bit-exact reference."""

    name: str
    elements: int
    differing: int
    largest_lsb: int

    @property
    def share(self) -> float:
        """Share of the elements that differ."""
        return self.differing / self.elements


class QuantizedAgreement(Document):
    """The quantized graph in ONNX Runtime against the bit-exact reference."""

    steps: int
    each_quantizer: tuple[QuantizerAgreement, ...]
    """Each quantizer given what the reference's quantizers before it gave: its own error alone."""
    whole_step: tuple[QuantizerAgreement, ...]
    """Given the reference's frame and states only: an int8 value rounded the other way moves the int16 ones behind."""
    free_running_r2_difference: tuple[float, ...]
    """By output, over the whole stream with each form carrying its own states."""


class FrontEndAgreement(Document):
    """The front end in fixed point against the feature reference in float64, over noise that looks like LFP."""

    frames: int
    bound: float
    """Of the logarithm of a band's power, at every valid frame."""
    largest_error: float
    rms_error: float
