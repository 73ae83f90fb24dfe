"""edgebci takes a brain decoder from recordings to a chip.

What stands here is what programs may rely on; a name is imported when it is first used, so `import edgebci` is quick.
The stages of a whole run are in `edgebci.pipeline.run`, as `edgebci run` calls them.

>>> import edgebci
>>> edgebci.Interval(value=0.41, low=0.37, high=0.45).value
0.41
>>> edgebci.FeatureSpec(rate_hz=1000, bands=[edgebci.Band(low_hz=12, high_hz=30)]).kinds
('power_12_30_hz',)
>>> edgebci.load_profile(edgebci.Radio, "no-such-radio")
Traceback (most recent call last):
...
edgebci.errors.InputError: ...
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgebci.bundle import Bundle, Manifest, open_bundle
    from edgebci.checkpoint import Checkpoint, load_checkpoint
    from edgebci.comparison import Comparison, Interval, Score, Verdict, compare, score
    from edgebci.decoder_spec import DecoderSpec
    from edgebci.errors import CapacityError, EdgebciError, InputError, MissingToolError, VerificationError
    from edgebci.features.front_end import FrontEnd
    from edgebci.features.specification import Band, FeatureSpec
    from edgebci.fixed_decoder import FixedDecoder
    from edgebci.hardware import ComputePart, Implant, Radio, Tissue, load_profile, profile_names
    from edgebci.quantity import Quantity
    from edgebci.quantized_decoder import QuantizedDecoder
    from edgebci.recordings import Recording, RecordingWriter, open_recording
    from edgebci.reporting import Report, load_report
    from edgebci.synthetic import SyntheticSpec, synthesize

__version__ = "0.1.0"

_PUBLIC = {
    "edgebci.bundle": ("Bundle", "Manifest", "open_bundle"),
    "edgebci.checkpoint": ("Checkpoint", "load_checkpoint"),
    "edgebci.comparison": ("Comparison", "Interval", "Score", "Verdict", "compare", "score"),
    "edgebci.decoder_spec": ("DecoderSpec",),
    "edgebci.errors": ("CapacityError", "EdgebciError", "InputError", "MissingToolError", "VerificationError"),
    "edgebci.features.front_end": ("FrontEnd",),
    "edgebci.features.specification": ("Band", "FeatureSpec"),
    "edgebci.fixed_decoder": ("FixedDecoder",),
    "edgebci.hardware": ("ComputePart", "Implant", "Radio", "Tissue", "load_profile", "profile_names"),
    "edgebci.quantity": ("Quantity",),
    "edgebci.quantized_decoder": ("QuantizedDecoder",),
    "edgebci.recordings": ("Recording", "RecordingWriter", "open_recording"),
    "edgebci.reporting": ("Report", "load_report"),
    "edgebci.synthetic": ("SyntheticSpec", "synthesize"),
}
_HOME = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = [
    "Band",
    "Bundle",
    "CapacityError",
    "Checkpoint",
    "Comparison",
    "ComputePart",
    "DecoderSpec",
    "EdgebciError",
    "FeatureSpec",
    "FixedDecoder",
    "FrontEnd",
    "Implant",
    "InputError",
    "Interval",
    "Manifest",
    "MissingToolError",
    "Quantity",
    "QuantizedDecoder",
    "Radio",
    "Recording",
    "RecordingWriter",
    "Report",
    "Score",
    "SyntheticSpec",
    "Tissue",
    "Verdict",
    "VerificationError",
    "__version__",
    "compare",
    "load_checkpoint",
    "load_profile",
    "load_report",
    "open_bundle",
    "open_recording",
    "profile_names",
    "score",
    "synthesize",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
