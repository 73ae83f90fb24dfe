"""The fitted front end: a specification, the good channels and the statistics that a device starts from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from edgebci.arithmetic import F32
from edgebci.documents import Document, load_json
from edgebci.errors import InputError
from edgebci.features.specification import FeatureSpec
from edgebci.files import replacing, write_text

Bool = NDArray[np.bool_]

SCHEMA = "edgebci.front_end/1"
DOCUMENT_NAME, TENSORS_NAME = "front_end.json", "front_end.safetensors"


class _FrontEndDocument(Document):
    schema_version: Literal["edgebci.front_end/1"]
    n_channels: int = Field(gt=0)
    features: FeatureSpec


@dataclass(frozen=True)
class FrontEnd:
    """What turns counts into the decoder's input.

    Fields:
        spec: the features.
        good_channels: (C,) bool; the others are dead: not in the reference, their features always 0.
        mean, sd: (F,) float32 of the features in training; 0 and 1 for dead channels.
    """

    spec: FeatureSpec
    good_channels: Bool
    mean: F32
    sd: F32

    @property
    def n_channels(self) -> int:
        """C, dead channels included."""
        return len(self.good_channels)

    @property
    def n_features(self) -> int:
        """F, dead channels included."""
        return self.spec.n_features(self.n_channels)

    def save(self, folder: Path) -> None:
        """Write front_end.json and front_end.safetensors into `folder`."""
        document = _FrontEndDocument(schema_version=SCHEMA, n_channels=self.n_channels, features=self.spec)
        tensors = {"mean": self.mean, "sd": self.sd, "good_channels": self.good_channels.astype(np.uint8)}
        with replacing(folder / TENSORS_NAME) as temporary:
            save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, temporary)
        write_text(folder / DOCUMENT_NAME, document.model_dump_json(indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> FrontEnd:
        """Read what `save` wrote; raises InputError for a missing, cut or mismatched file."""
        document = load_json(folder / DOCUMENT_NAME, _FrontEndDocument)
        path = folder / TENSORS_NAME
        try:
            tensors = load_file(path)
            good, mean, sd = tensors["good_channels"], tensors["mean"], tensors["sd"]
        except (OSError, SafetensorError, KeyError) as error:
            raise InputError(f"cannot read the statistics in {path} ({error}); export the front end again") from error
        n_features = document.features.n_features(document.n_channels)
        if good.shape != (document.n_channels,) or mean.shape != (n_features,) or sd.shape != (n_features,):
            raise InputError(
                f"{path} holds {good.size} channels and {mean.size} features, but {DOCUMENT_NAME} beside it says "
                f"{document.n_channels} and {n_features}; export the front end again"
            )
        return cls(document.features, good.astype(bool), mean, sd)
