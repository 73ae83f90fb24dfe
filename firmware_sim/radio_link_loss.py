"""What is left of a signal: tissue, space and body between implant and receiver, and the bit errors that follow.

    received = sent + antennas - tissue - space - body      dB
    margin   = received - sensitivity                       dB above the signal whose error rate is known

Tissue is met as a plane wave that crosses the layers: absorption in each, reflection at each border, the last to air.
What the tissue that touches an antenna takes is part of that antenna's gain, not counted here again.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

from pydantic import Field
from scipy.constants import epsilon_0, speed_of_light
from scipy.special import erfc, erfcinv

from edgebci.documents import Document, load_toml
from edgebci.errors import InputError
from edgebci.hardware_radios import Modulation
from edgebci.quantity import EvidenceClass

DB_PER_NEPER = 20.0 / math.log(10.0)
AIR = 1.0 + 0.0j


class ColeCole(Document):
    """Dielectric spectrum of a tissue (radio_link_tissues.toml gives the formula)."""

    eps_inf: float
    delta: tuple[float, float, float, float]
    tau_s: tuple[float, float, float, float]
    alpha: tuple[float, float, float, float]
    sigma_s_per_m: float
    evidence_class: EvidenceClass = Field(alias="class")
    source: str = Field(min_length=1)

    def permittivity(self, frequency_hz: float) -> complex:
        """Relative and complex; the imaginary part, below 0, is the loss."""
        w = 2.0 * math.pi * frequency_hz
        terms = zip(self.delta, self.tau_s, self.alpha, strict=True)
        relaxing = sum(delta / (1.0 + (1j * w * tau_s) ** (1.0 - alpha)) for delta, tau_s, alpha in terms)
        return complex(self.eps_inf + relaxing + self.sigma_s_per_m / (1j * w * epsilon_0))

    def conductivity_s_per_m(self, frequency_hz: float) -> float:
        """Of all losses together."""
        return -self.permittivity(frequency_hz).imag * 2.0 * math.pi * frequency_hz * epsilon_0


class _Tissues(Document):
    tissues: dict[str, ColeCole]


@cache
def _spectra() -> dict[str, ColeCole]:
    return load_toml(Path(__file__).with_name("radio_link_tissues.toml"), _Tissues).tissues


def spectrum(tissue: str) -> ColeCole:
    """The dielectric spectrum of a tissue.

    Raises:
        InputError: none is known.
    """
    if tissue not in _spectra():
        raise InputError(f"how {tissue} takes radio waves is not known; known are {', '.join(sorted(_spectra()))}")
    return _spectra()[tissue]


def absorbed_db(permittivity: complex, thickness_m: float, frequency_hz: float) -> float:
    """What a layer takes from a plane wave that goes straight through."""
    nepers_per_m = 2.0 * math.pi * frequency_hz / speed_of_light * -cmath.sqrt(permittivity).imag
    return DB_PER_NEPER * nepers_per_m * thickness_m


def reflected_db(first: complex, second: complex) -> float:
    """What a border between two media holds back from a plane wave that meets it straight on."""
    n1, n2 = cmath.sqrt(first), cmath.sqrt(second)
    return -10.0 * math.log10(1.0 - abs((n1 - n2) / (n1 + n2)) ** 2)


def tissue_db(layers: Sequence[tuple[str, float]], frequency_hz: float) -> float:
    """Loss from an antenna out through (tissue, thickness in m) layers into air."""
    media = [spectrum(tissue).permittivity(frequency_hz) for tissue, _ in layers]
    taken = sum(absorbed_db(medium, layer[1], frequency_hz) for medium, layer in zip(media, layers, strict=True))
    return taken + sum(reflected_db(inner, outer) for inner, outer in pairwise([*media, AIR])) if media else 0.0


def free_space_db(distance_m: float, frequency_hz: float) -> float:
    """Friis 1946: 20 log10(4 pi d / wavelength); none within a twelfth of a wavelength, where the far field begins."""
    return max(0.0, 20.0 * math.log10(4.0 * math.pi * distance_m * frequency_hz / speed_of_light))


def bit_error_rate(modulation: Modulation, energy_to_noise: float) -> float:
    """Of a bit received with E_b / N_0 (a ratio) over white noise (Proakis, Digital Communications, 5th ed., 4.1, 4.5).

    fsk, ook and ppm without phase: exp(-g / 2) / 2, ook with g the mean over both symbols; bpsk: Q(sqrt(2 g)).
    """
    if modulation == "bpsk":
        return 0.5 * float(erfc(math.sqrt(energy_to_noise)))
    return 0.5 * math.exp(-0.5 * energy_to_noise)


def energy_to_noise(modulation: Modulation, ber: float) -> float:
    """E_b / N_0 (a ratio) at which the bit error rate is `ber`, above 0 and up to 0.5: the inverse of the above."""
    if modulation == "bpsk":
        return float(erfcinv(2.0 * ber)) ** 2
    return -2.0 * math.log(2.0 * ber)


def ber_at_margin(modulation: Modulation, sensitivity_ber: float, margin_db: float) -> float:
    """Bit error rate `margin_db` above the signal at which it is `sensitivity_ber`."""
    return bit_error_rate(modulation, energy_to_noise(modulation, sensitivity_ber) * 10.0 ** (margin_db / 10.0))


def packet_error_rate(ber: float, bits: float) -> float:
    """Probability that at least one of `bits` is wrong: nothing corrects them, a check sum finds them."""
    return -math.expm1(bits * math.log1p(-ber))
