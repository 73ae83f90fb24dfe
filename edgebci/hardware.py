"""Hardware profiles: implants, radios, compute parts and tissues, as TOML files in which every number has a source.

A profile says what it is (`kind`), what it is called (`name`, the file's name without .toml) and, number by number,
value or range, unit, source and class (see `edgebci.quantity`). No number about a chip stands in Python code.

    scope      how much of a device a profile's figures cover; unlike scopes are never compared
    evidence   where its totals come from: measured, simulated, or hypothetical for a design that nobody built
    part       what draws power: front_end, adc, compute, radio, standing (clocks, control), conversion (lost in
               regulator and rectifier)
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self, TypeVar, get_args

from pydantic import BaseModel, Field, model_validator

from edgebci.documents import Document, load_toml, nearest
from edgebci.errors import InputError
from edgebci.quantity import Quantity, measured_in

Part = Literal["front_end", "adc", "compute", "radio", "standing", "conversion"]
PARTS: tuple[Part, ...] = get_args(Part)
Location = Literal["cortex", "epidural", "skull", "subgaleal", "chest", "external"]
Core = Literal["cortex-m0+", "cortex-m3", "cortex-m4f", "cortex-m7", "cortex-m33", "cortex-m55", "cortex-m85"]

Count = Annotated[Quantity, measured_in("1")]
Share = Annotated[Quantity, measured_in("1", at_least=0.01, at_most=1.0)]
Share0 = Annotated[Quantity, measured_in("1", at_most=1.0)]
Hertz = Annotated[Quantity, measured_in("Hz")]
Microwatt = Annotated[Quantity, measured_in("uW")]
Bytes = Annotated[Quantity, measured_in("byte")]


class Profile(Document):
    """What every profile has."""

    folder: ClassVar[str]

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str
    notes: str = ""


class Tissue(Profile):
    """Steady conduction with perfusion (Pennes): k, w * rho_b * c_b; and the rise allowed at the implant's surface."""

    folder: ClassVar[str] = "tissue"

    kind: Literal["tissue"]
    conductivity_w_per_m_k: Annotated[Quantity, measured_in("W/m/K", at_least=0.01)]
    perfusion_w_per_m3_k: Annotated[Quantity, measured_in("W/m3/K", at_least=1.0)]
    rise_limit_c: Annotated[Quantity, measured_in("C")]


class ComputePart(Profile):
    """A microcontroller at one clock: memory, energy of a cycle and what it draws asleep, at its own supply pin."""

    folder: ClassVar[str] = "compute"

    kind: Literal["compute"]
    core: Core
    clock_mhz: Annotated[Quantity, measured_in("MHz", at_least=0.01)]
    flash_bytes: Bytes
    ram_bytes: Bytes
    active_pj_per_cycle: Annotated[Quantity, measured_in("pJ")]
    sleep_uw: Microwatt
    # What a cycle model with zero wait states misses: flash stalls and its own error.
    real_cycles_per_modelled_cycle: Annotated[Quantity, measured_in("1", at_least=0.5, at_most=10.0)]

    @model_validator(mode="after")
    def _sleep_is_cheaper(self) -> Self:
        active_uw = self.active_pj_per_cycle.low * self.clock_mhz.low
        if self.sleep_uw.high > active_uw:
            raise ValueError(
                f"sleep_uw {self.sleep_uw.high:g} exceeds the active power {active_uw:g} uW; check the units"
            )
        return self


class CoreModel(Profile):
    """What the instructions of a core take, for the cycle model of its kind; and how far that model is off.

    Fields:
        pipeline: which model reads the figures.
        evidence: an estimate was never held against silicon, and every figure from it is called so.
        error: band of the model on straight code, and on code that branches on its data.
        cycles: figures in cycles, by the names that the model asks for. slots: how many at once, likewise.
    """

    folder: ClassVar[str] = "cores"

    kind: Literal["core"]
    core: Core
    pipeline: Literal["cortex-m4", "in-order"]
    evidence: Literal["model", "estimate"]
    straight_error: Share0
    branchy_error: Share0
    cycles: dict[str, Annotated[Quantity, measured_in("cycles", at_least=-4.0)]] = Field(min_length=1)
    slots: dict[str, Count] = Field(default_factory=dict)


class CacheModel(Document):
    """A cache between core and flash; the least recently used line goes."""

    size_bytes: Bytes
    ways: Count
    line_bytes: Bytes


class MemoryModel(Profile):
    """How a board's core gets at its flash, at one clock.

    Fields:
        flash_bytes_at_once: what one access to the flash gives.
        miss_cycles, load_miss_cycles: what a fetch, and a load, waits for that is in no cache.
        prefetch: whether the flash gets the line that follows while the one before is executed.
        caches: split are those for code and for data, unified is one for both (`instruction_cache`).
    """

    folder: ClassVar[str] = "memories"

    kind: Literal["memory"]
    core: Core
    clock_mhz: Annotated[Quantity, measured_in("MHz", at_least=0.01)]
    flash_bytes_at_once: Bytes
    miss_cycles: Annotated[Quantity, measured_in("cycles")]
    load_miss_cycles: Annotated[Quantity, measured_in("cycles")]
    prefetch: Literal["none", "next line"]
    caches: Literal["split", "unified"]
    instruction_cache: CacheModel | None = None
    data_cache: CacheModel | None = None


class Radio(Profile):
    """The implant's side of a link: energy on the air, per packet and at rest; and the payload that it carries."""

    folder: ClassVar[str] = "radios"

    kind: Literal["radio"]
    legal_basis: str = Field(min_length=1)
    payload_bits_per_s: Annotated[Quantity, measured_in("bit/s", at_least=1.0)]
    energy_nj_per_bit: Annotated[Quantity, measured_in("nJ/bit")]
    overhead_bits_per_packet: Annotated[Quantity, measured_in("bit")]
    max_payload_bytes_per_packet: Annotated[Quantity, measured_in("byte", at_least=1.0)]
    # Start-up, turn-around and listening for the acknowledgement.
    energy_uj_per_packet: Annotated[Quantity, measured_in("uJ")]
    idle_uw: Microwatt


class FrontEnd(Document):
    """Amplifiers and converter. What a source gives only together with the amplifier is 0 here, and says so."""

    channels: Count
    max_rate_hz: Hertz
    bits: Annotated[Quantity, measured_in("bit", at_least=1.0, at_most=32.0)]
    band_low_hz: Hertz
    band_high_hz: Hertz
    noise_uvrms: Annotated[Quantity, measured_in("uVrms")] | None = None
    amplifier_uw_per_channel: Microwatt
    adc_pj_per_sample: Annotated[Quantity, measured_in("pJ")]


class Battery(Document):
    """Energy from full charge to the end of the range in which the device runs."""

    energy_mwh: Annotated[Quantity, measured_in("mWh", at_least=0.001)]
    usable_share: Share


class Link(Document):
    """Wireless power: what of the power that the coil receives reaches the regulator."""

    rectifier_efficiency: Share


class HeatSource(Document):
    """One body that warms tissue: which parts are inside, where it lies, what it touches.

    back_side "tissue": heat leaves through the whole contact area, on all sides; "insulated": through one face.
    """

    location: Location
    parts: tuple[Part, ...] = Field(min_length=1)
    tissue: str
    contact_area_cm2: Annotated[Quantity, measured_in("cm2", at_least=1e-6)]
    back_side: Literal["tissue", "insulated"]
    published_rise_c_per_mw: Annotated[Quantity, measured_in("C/mW")] | None = None


class Published(Document):
    """What the device's own authors say that it draws in its own use: never mixed with what we model."""

    use: str
    total_mw: Annotated[Quantity, measured_in("mW")]
    runtime_h: Annotated[Quantity, measured_in("h")] | None = None


class Implant(Profile):
    """A device, or a part of one, into which a decoder can be put."""

    folder: ClassVar[str] = "implants"

    kind: Literal["implant"]
    scope: Literal["asic", "front_end", "device_without_radio", "device"]
    evidence: Literal["measured", "simulated", "hypothetical"]
    front_end: FrontEnd
    standing_uw: Microwatt
    regulator_efficiency: Share
    battery: Battery | None = None
    link: Link | None = None
    heat_sources: dict[str, HeatSource] = Field(min_length=1)
    published: Published | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.battery is None) == (self.link is None):
            raise ValueError("an implant has one supply: give either [battery] or [link]")
        placed = sorted(part for source in self.heat_sources.values() for part in source.parts)
        if placed != sorted(PARTS):
            raise ValueError(f"heat_sources hold {', '.join(placed)}: name each of {', '.join(PARTS)} exactly once")
        return self


ProfileModel = TypeVar("ProfileModel", bound=Profile)
MODELS: dict[str, type[Profile]] = {
    "implant": Implant,
    "radio": Radio,
    "compute": ComputePart,
    "tissue": Tissue,
    "core": CoreModel,
    "memory": MemoryModel,
}


class _Kind(BaseModel):
    kind: Literal["implant", "radio", "compute", "tissue", "core", "memory"]


def profile_folder() -> Path:
    """The shipped profiles: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).parent
    inside, beside = package / "hardware_profiles", package.parent / "hardware_profiles"
    return inside if inside.is_dir() else beside


def profile_names(model: type[Profile]) -> tuple[str, ...]:
    """The shipped profiles of one kind, sorted."""
    return tuple(sorted(path.stem for path in (profile_folder() / model.folder).glob("*.toml")))


def load_profile(model: type[ProfileModel], name: str) -> ProfileModel:
    """Load a shipped profile by its name, or a user's own by the path of its .toml file.

    Raises:
        InputError: there is no such profile (names the nearest), or the file is not a complete profile of that kind.
    """
    if name.endswith(".toml"):
        return load_toml(Path(name), model)
    names = profile_names(model)
    if name not in names:
        raise InputError(
            f"no profile {name!r} in {model.folder} (one of your own is given as the path of its .toml file); "
            f"{nearest(name, list(names))}"
        )
    return load_toml(profile_folder() / model.folder / f"{name}.toml", model)


def check_profile(path: Path) -> Profile:
    """Read a profile of any kind, told by its `kind` key, and check what lies between files too.

    Raises:
        InputError: something is missing or wrong: all faults of the file at once.
    """
    profile = load_toml(path, MODELS[load_toml(path, _Kind).kind])
    if profile.name != path.stem:
        raise InputError(
            f"{path}: the name is {profile.name!r}; it must be the file's, {path.stem!r}: rename one of them"
        )
    if isinstance(profile, Implant):
        for source in profile.heat_sources.values():
            load_profile(Tissue, source.tissue)
    return profile


def check_shipped_profiles() -> tuple[Profile, ...]:
    """Check every shipped profile; raises the first InputError."""
    return tuple(check_profile(path) for path in sorted(profile_folder().rglob("*.toml")))
