"""What the profiles of `hardware_profiles` are made of: the base of every profile, its units and its words.

scope      how much of a device a profile's figures cover; unlike scopes are never compared
evidence   where its totals come from: measured, simulated, or hypothetical for a design that nobody built
part       what draws power: front_end, adc, compute, radio, standing (clocks, control), conversion (lost in
           regulator and rectifier)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from edgebci.documents import Document
from edgebci.quantity import Quantity, measured_in

Part = Literal["front_end", "adc", "compute", "radio", "standing", "conversion"]
PARTS: tuple[Part, ...] = get_args(Part)
Location = Literal["cortex", "epidural", "skull", "subgaleal", "chest", "external"]
Scope = Literal["asic", "front_end", "device_without_radio", "device"]
Evidence = Literal["measured", "simulated", "hypothetical"]
Core = Literal[
    "cortex-m0+", "cortex-m3", "cortex-m4f", "cortex-m7", "cortex-m33", "cortex-m55", "cortex-m85", "rv32-gap9"
]


@dataclass(frozen=True)
class In:
    """The unit of a Quantity and the values that are physically possible, for reading and for an editor's schema."""

    unit: str
    at_least: float = 0.0
    at_most: float = math.inf

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        check = measured_in(self.unit, self.at_least, self.at_most).func
        return core_schema.no_info_after_validator_function(check, handler(source))  # type: ignore[arg-type]

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        limits = {"minimum": self.at_least} | ({"maximum": self.at_most} if math.isfinite(self.at_most) else {})
        numbers = dict.fromkeys(("value", "low", "typical", "high"), limits)
        return {"allOf": [handler(schema)], "properties": {"unit": {"const": self.unit}} | numbers}


Count = Annotated[Quantity, In("1")]
Ratio = Annotated[Quantity, In("1", at_least=1e-9)]
Share = Annotated[Quantity, In("1", at_least=0.01, at_most=1.0)]
Share0 = Annotated[Quantity, In("1", at_most=1.0)]
Hertz = Annotated[Quantity, In("Hz")]
Megahertz = Annotated[Quantity, In("MHz", at_least=0.01)]
Microwatt = Annotated[Quantity, In("uW")]
Milliwatt = Annotated[Quantity, In("mW")]
Microsecond = Annotated[Quantity, In("us")]
Millisecond = Annotated[Quantity, In("ms")]
Microjoule = Annotated[Quantity, In("uJ")]
Volt = Annotated[Quantity, In("V", at_least=0.01)]
Bytes = Annotated[Quantity, In("byte")]
Bits = Annotated[Quantity, In("bit", at_least=1.0, at_most=32.0)]
Decibel = Annotated[Quantity, In("dB")]
DecibelMilliwatt = Annotated[Quantity, In("dBm", at_least=-200.0, at_most=100.0)]


class Profile(Document):
    """What every profile has."""

    folder: ClassVar[str]

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str
    notes: str = ""
