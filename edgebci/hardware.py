"""Hardware profiles: implants, radios, compute parts and tissues, as TOML files in which every number has a source.

A profile says what it is (`kind`), what it is called (`name`, the file's name without .toml) and, number by number,
value or range, unit, source and class (see `edgebci.quantity`). No number about a chip stands in Python code.

The words that all profiles share are in `hardware_units`, the profiles in `hardware_implants`, `hardware_radios` and
`hardware_compute`; here they are found, read and checked.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeVar, get_args

from pydantic import BaseModel

from edgebci.documents import load_toml, nearest
from edgebci.errors import InputError
from edgebci.hardware_compute import (
    Board,
    BoardMode,
    CacheModel,
    ComputePart,
    CoreModel,
    MemoryModel,
    OperatingPoint,
    Waking,
    at_clock,
    clocks,
)
from edgebci.hardware_implants import Battery, FrontEnd, HeatSource, Implant, Link, Published, compare_scopes
from edgebci.hardware_radios import Air, Band, Connection, Modulation, Radio, check_band
from edgebci.hardware_units import PARTS, Bits, Core, Evidence, Hertz, In, Location, Part, Profile, Scope
from edgebci.quantity import Quantity

__all__ = [
    "MODELS",
    "PARTS",
    "Air",
    "Band",
    "Battery",
    "Board",
    "BoardMode",
    "CacheModel",
    "ComputePart",
    "Connection",
    "Core",
    "CoreModel",
    "Evidence",
    "FrontEnd",
    "HeatSource",
    "Implant",
    "Link",
    "Location",
    "MemoryModel",
    "Modulation",
    "OperatingPoint",
    "Part",
    "Profile",
    "Published",
    "Radio",
    "Scope",
    "Signal",
    "Tissue",
    "Waking",
    "at_clock",
    "check_profile",
    "check_shipped_profiles",
    "clocks",
    "compare_scopes",
    "load_profile",
    "profile_folder",
    "profile_names",
]


class Tissue(Profile):
    """Conduction with perfusion (Pennes): k, w * rho_b * c_b; and the rise allowed at the implant's surface.

    Fields:
        density_kg_per_m3, heat_capacity_j_per_kg_k: what warming up takes, for the time before the steady state.
        metabolic_w_per_m3: part of the resting temperature, not of the rise.
    """

    folder: ClassVar[str] = "tissue"

    kind: Literal["tissue"]
    conductivity_w_per_m_k: Annotated[Quantity, In("W/m/K", at_least=0.01)]
    perfusion_w_per_m3_k: Annotated[Quantity, In("W/m3/K")]
    rise_limit_c: Annotated[Quantity, In("C")]
    density_kg_per_m3: Annotated[Quantity, In("kg/m3", at_least=1.0)] | None = None
    heat_capacity_j_per_kg_k: Annotated[Quantity, In("J/kg/K", at_least=1.0)] | None = None
    metabolic_w_per_m3: Annotated[Quantity, In("W/m3")] | None = None


class Signal(Profile):
    """What is taken from the electrodes: its band, and what carrying it costs before any decoder.

    Fields:
        rate_hz, bits: of the samples. front_end_cycles_per_sample: of the core, per channel.
        bits_per_frame_and_channel: of one feature.
    """

    folder: ClassVar[str] = "signals"

    kind: Literal["signal"]
    band_low_hz: Hertz
    band_high_hz: Hertz
    rate_hz: Hertz
    bits: Bits
    front_end_cycles_per_sample: Annotated[Quantity, In("cycles")]
    bits_per_frame_and_channel: Annotated[Quantity, In("bit")]


ProfileModel = TypeVar("ProfileModel", bound=Profile)
Kind = Literal["implant", "radio", "compute", "board", "tissue", "core", "memory", "band", "signal"]
_ALL: tuple[type[Profile], ...] = (
    *(Implant, Radio, ComputePart, Board, Tissue, CoreModel, MemoryModel, Band),
    Signal,
)
MODELS: dict[str, type[Profile]] = dict(zip(get_args(Kind), _ALL, strict=True))


class _Kind(BaseModel):
    kind: Kind


def profile_folder() -> Path:
    """The shipped profiles: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).parent
    inside, beside = package / "hardware_profiles", package.parent / "hardware_profiles"
    return inside if inside.is_dir() else beside


def profile_names(model: type[Profile]) -> tuple[str, ...]:
    """The shipped profiles of one kind, sorted."""
    paths = (profile_folder() / model.folder).glob("*.toml")
    return tuple(sorted(path.stem for path in paths if MODELS[_kind_of(path)] is model))


def load_profile(model: type[ProfileModel], name: str) -> ProfileModel:
    """Load a shipped profile by its name, or a user's own by the path of its .toml file.

    Raises:
        InputError: there is no such profile (names the nearest), or the file is not a complete profile of that kind.
    """
    profile = load_toml(_path_of(model, name), model)
    _check_links(profile)
    return profile


def _path_of(model: type[Profile], name: str) -> Path:
    if name.endswith(".toml"):
        return Path(name)
    path = profile_folder() / model.folder / f"{name}.toml"
    if not path.is_file():
        raise InputError(
            f"no profile {name!r} in {model.folder} (one of your own is given as the path of its .toml file); "
            f"{nearest(name, list(profile_names(model)))}"
        )
    if MODELS[_kind_of(path)] is not model:
        raise InputError(
            f"{name} is a {_kind_of(path)}, not a {_word(model)}; choose from {', '.join(profile_names(model))}"
        )
    return path


def _kind_of(path: Path) -> str:
    return str(tomllib.loads(path.read_text(encoding="utf-8"))["kind"])


def _word(model: type[Profile]) -> str:
    return next(kind for kind, found in MODELS.items() if found is model)


def _check_links(profile: Profile) -> None:
    """What a profile names must be there and allow it."""
    if isinstance(profile, Implant):
        for name, source in profile.heat_sources.items():
            _check_carries_heat(f"{profile.name}: the heat source {name!r}", load_profile(Tissue, source.tissue))
    if isinstance(profile, Radio) and profile.band is not None:
        check_band(profile, load_profile(Band, profile.band))


def _check_carries_heat(who: str, tissue: Tissue) -> None:
    if tissue.perfusion_w_per_m3_k.low <= 0:
        raise InputError(f"{who} lies in {tissue.name}, which no blood cools; name the perfused tissue beside it")


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
    _check_links(profile)
    return profile


def check_shipped_profiles() -> tuple[Profile, ...]:
    """Check every shipped profile; raises the first InputError."""
    return tuple(check_profile(path) for path in sorted(profile_folder().rglob("*.toml")))
