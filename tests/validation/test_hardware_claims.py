"""What the proof says of the models of power: every bound, and those that are missed called so."""

from __future__ import annotations

from pathlib import Path

from edgebci.hardware import check_shipped_profiles
from edgebci.pipeline.proof.claim import Place
from edgebci.pipeline.proof.hardware_claims import hardware_claims, measure_power_validation, measure_profiles
from edgebci.pipeline.proof.sources import find_checkout


def _ignore(fraction: float, note: str) -> None:
    pass


def test_every_bound_is_a_figure_and_a_missed_one_is_called_missed(tmp_path: Path) -> None:
    figures = {figure.name: figure for figure in measure_power_validation(Place(tmp_path, tmp_path), _ignore)}
    assert {"bookkeeping", "forward_inside", "forward_width", "energy", "energy_accelerated"} <= set(figures)
    assert figures["forward_inside"].note.startswith("0.8 at least: MISSED by hermesd")
    assert figures["forward_width"].note == "4 at most: met"
    assert len([name for name in figures if name.startswith("ratio_")]) == figures["devices"].value


def test_profiles_and_their_numbers_are_counted(tmp_path: Path) -> None:
    figures = {figure.name: figure.value for figure in measure_profiles(Place(tmp_path, tmp_path), _ignore)}
    assert int(figures["profiles"]) == len(check_shipped_profiles()) > 70
    assert int(figures["numbers"]) > 1000


def test_the_claims_depend_on_their_cases_and_profiles() -> None:
    checkout = find_checkout()
    for claim in hardware_claims(()):
        paths = {path.name for path in claim.sources.paths(checkout)}
        assert {"devices.toml", "mlperf_tiny.toml"} <= paths or "utah96-lfp.toml" in paths
        assert "hardware_claims.py" in paths
