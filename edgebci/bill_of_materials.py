"""The software bill of materials of a bundle: what is in it, what it was made with, each with version and licence.

A CycloneDX 1.6 document (ECMA-424) of the parts that concern a bundle. It has neither a serial number nor a time, which
the standard leaves to choice, so that the same checkpoint gives the same bytes.
"""

from __future__ import annotations

from importlib.metadata import metadata, version
from typing import Literal

from pydantic import Field

from edgebci.documents import Document

MADE_WITH = ("jinja2", "numpy", "onnx", "onnx-ir", "onnxruntime", "pydantic", "safetensors", "scipy")
"""Packages that compute, write or verify a bundle; none of their code goes into it."""
_CLASSIFIER = "License :: OSI Approved :: "


class License(Document):
    """A licence by the words of whoever gives it: an SPDX expression where the package has one."""

    name: str


class LicenseChoice(Document):
    """How CycloneDX writes a licence."""

    license: License


class Hash(Document):
    """Of a file."""

    alg: Literal["SHA-256"] = "SHA-256"
    content: str


class Component(Document):
    """One thing that is in the bundle, or that made it."""

    type: Literal["application", "library", "machine-learning-model", "data", "firmware"]
    name: str
    version: str | None = None
    licenses: tuple[LicenseChoice, ...] = ()
    hashes: tuple[Hash, ...] = ()
    description: str | None = None


class Tools(Document):
    """What made the bundle."""

    components: tuple[Component, ...]


class Metadata(Document):
    """What the document is about."""

    component: Component
    tools: Tools


class BillOfMaterials(Document):
    """The whole document."""

    bom_format: Literal["CycloneDX"] = Field(default="CycloneDX", alias="bomFormat")
    spec_version: Literal["1.6"] = Field(default="1.6", alias="specVersion")
    version: int = 1
    metadata: Metadata
    components: tuple[Component, ...]

    def to_json(self) -> str:
        """The document's text; equal documents give equal text."""
        return self.model_dump_json(by_alias=True, exclude_none=True, indent=2) + "\n"


def package(name: str) -> Component:
    """An installed package."""
    return Component(type="library", name=name, version=version(name), licenses=_licenses(name))


def bill_of_materials(
    subject: Component, checkpoint_sha256: str, recording: str, recording_sha256: str | None
) -> BillOfMaterials:
    """The bill of a bundle.

    Args:
        subject: the bundle itself.
        checkpoint_sha256: of the trained weights.
        recording: name of the file whose frames the quantizer saw.
        recording_sha256: of that file, where it was at hand.
    """
    weights = Component(type="machine-learning-model", name="checkpoint", hashes=(Hash(content=checkpoint_sha256),))
    seen = Component(
        type="data",
        name=recording,
        hashes=(Hash(content=recording_sha256),) if recording_sha256 else (),
        description="calibrated and verified on; the bundle holds statistics of it, no samples",
    )
    ours = package("edgebci").model_copy(update={"description": "graphs, kernels and templates of the C"})
    made_with = tuple(package(name) for name in ("edgebci", *MADE_WITH))
    return BillOfMaterials(
        metadata=Metadata(component=subject, tools=Tools(components=made_with)), components=(ours, weights, seen)
    )


def _licenses(name: str) -> tuple[LicenseChoice, ...]:
    """What the package's own metadata say: an expression, else a short name, else its classifiers."""
    fields = metadata(name)
    given = fields["License-Expression"] or fields["License"] or ""
    if not given or "\n" in given or len(given) > 100:
        classifiers = fields.get_all("Classifier") or []
        given = " AND ".join(c.removeprefix(_CLASSIFIER) for c in classifiers if c.startswith(_CLASSIFIER)) or "unknown"
    return (LicenseChoice(license=License(name=given)),)
