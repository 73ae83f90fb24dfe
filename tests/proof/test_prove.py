"""Measuring claims: once for each state of their sources, resumed after an interruption, never silently old."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from edgebci.errors import InputError
from edgebci.pipeline.proof.claim import CannotMeasureError, Claim, Place, timed
from edgebci.pipeline.proof.figure import Figure
from edgebci.pipeline.proof.ledger import Ledger, load_ledger
from edgebci.pipeline.proof.prove import is_current, prove, select, write_readme
from edgebci.pipeline.proof.readme import BEGIN, END
from edgebci.pipeline.proof.sources import PROOF_NAME, Sources
from edgebci.progress import Progress, silent


@dataclass
class Counter:
    """A measurement that counts its calls, keeps a file between them and can be told to fail."""

    calls: int = 0
    failure: BaseException | None = None
    found_before: list[bool] = field(default_factory=list)

    def __call__(self, place: Place, progress: Progress) -> tuple[Figure, ...]:
        progress(0.5, "half way")
        self.calls += 1
        self.found_before.append((place.folder / "half").exists())
        (place.folder / "half").touch()
        if self.failure:
            raise self.failure
        return (Figure(name="calls", label="calls", value=self.calls, evidence="counted"),)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "examples").mkdir()
    (tmp_path / "code.py").write_text("x = 1\n")
    (tmp_path / "README.md").write_text(f"# r\n{BEGIN}\n{END}\n<!--=count.calls--><!--/-->\n")
    return tmp_path


def claim(measure: Counter, name: str = "count", recording: str | None = None) -> Claim:
    return Claim(name, name.title(), f"run {name}", Sources(globs=("*.py",)), 1.0, measure, recording, ("calls",))


def run(checkout: Path, *claims: Claim) -> Ledger:
    return prove(checkout, checkout / "runs", claims, claims, silent)


def test_figures_go_to_the_file_and_into_the_readme(checkout: Path) -> None:
    counter = Counter()
    ledger = run(checkout, claim(counter))
    assert load_ledger(checkout / PROOF_NAME) == ledger
    assert "<!--=count.calls-->1<!--/-->" in (checkout / "README.md").read_text()
    assert is_current(claim(counter), ledger, checkout)


def test_an_unchanged_claim_is_not_measured_again(checkout: Path) -> None:
    counter = Counter()
    first = run(checkout, claim(counter))
    assert run(checkout, claim(counter)) == first
    assert counter.calls == 1


def test_changed_sources_are_measured_again_from_the_start(checkout: Path) -> None:
    counter = Counter()
    before = run(checkout, claim(counter))
    (checkout / "code.py").write_text("x = 2\n")
    assert not is_current(claim(counter), before, checkout)
    run(checkout, claim(counter))
    assert counter.calls == 2
    assert counter.found_before == [False, False]


def test_an_interrupted_claim_finds_what_it_left_and_finished_ones_are_kept(checkout: Path) -> None:
    first, second = Counter(), Counter(failure=KeyboardInterrupt())
    claims = claim(first), claim(second, "second")
    with pytest.raises(KeyboardInterrupt):
        run(checkout, *claims)
    assert set(load_ledger(checkout / PROOF_NAME).claims) == {"count"}
    second.failure = None
    ledger = run(checkout, *claims)
    assert (first.calls, second.calls) == (1, 2)
    assert second.found_before == [False, True]
    assert list(ledger.claims) == ["count", "second"]


def test_what_another_proof_wrote_while_this_one_measured_stays(checkout: Path) -> None:
    quick, slow = Counter(), Counter()
    claims = claim(quick, "quick"), claim(slow, "slow")

    def measure(place: Place, progress: Progress) -> tuple[Figure, ...]:
        prove(checkout, checkout / "runs", claims, claims[:1], silent)
        return slow(place, progress)

    meanwhile = replace(claims[1], measure=measure)
    ledger = prove(checkout, checkout / "runs", (claims[0], meanwhile), (meanwhile,), silent)
    assert list(ledger.claims) == ["quick", "slow"]
    assert load_ledger(checkout / PROOF_NAME) == ledger


def test_a_claim_without_its_recording_keeps_earlier_figures_and_says_so(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEBCI_TEST_DATA", str(checkout))
    counter, recording = Counter(), checkout / "rat.nwb"
    needing = claim(counter, recording="rat.nwb")
    assert run(checkout, needing).claims == {}
    recording.write_bytes(b"1")
    measured = run(checkout, needing).claims["count"]
    recording.unlink()
    assert run(checkout, needing).claims["count"] == measured, "nothing changed: the figures are not old"
    (checkout / "code.py").write_text("x = 2\n")
    old = run(checkout, needing).claims["count"]
    assert old == measured.model_copy(update={"not_measured_again": "rat.nwb is not on this machine"})
    assert "older than its sources" in (checkout / "README.md").read_text()
    recording.write_bytes(b"2")
    assert run(checkout, needing).claims["count"].not_measured_again == ""
    assert counter.calls == 2


def test_figures_of_earlier_sources_stand_marked_until_they_are_measured_or_the_sources_return(checkout: Path) -> None:
    counter = Counter()
    ledger = run(checkout, claim(counter))
    (checkout / "code.py").write_text("x = 2\n")
    old = write_readme(checkout, ledger, (claim(counter),))
    date = ledger.claims["count"].measured_utc[:10]
    assert old == load_ledger(checkout / PROOF_NAME)
    assert f"older than its sources: measured on {date}" in (checkout / "examples" / "figures.md").read_text()
    assert write_readme(checkout, old, (claim(counter),)) == old
    (checkout / "code.py").write_text("x = 1\n")
    assert write_readme(checkout, old, (claim(counter),)) == ledger
    assert "older" not in (checkout / "README.md").read_text()


def test_a_claim_that_this_machine_cannot_measure_stops_no_other(checkout: Path) -> None:
    unable, able = Counter(failure=CannotMeasureError("no /proc here")), Counter()
    ledger = run(checkout, claim(unable, "unable"), claim(able))
    assert list(ledger.claims) == ["count"]


def test_sources_that_change_under_a_measurement_spoil_it(checkout: Path) -> None:
    def measure(place: Place, progress: Progress) -> tuple[Figure, ...]:
        (checkout / "code.py").write_text("x = 3\n")
        return ()

    with pytest.raises(InputError, match="changed while it was measured"):
        run(checkout, replace(claim(Counter()), measure=measure))
    assert not (checkout / PROOF_NAME).exists()


def test_one_claim_can_be_chosen_and_an_unknown_one_names_the_nearest() -> None:
    claims = claim(Counter(), "quickstart"), claim(Counter(), "rat")
    assert [c.name for c in select(claims, ["rat"])] == ["rat"]
    assert select(claims, []) == claims
    with pytest.raises(InputError, match="did you mean 'quickstart'"):
        select(claims, ["quikstart"])


def test_two_figures_of_one_name_are_a_defect(checkout: Path) -> None:
    def measure(place: Place, progress: Progress) -> tuple[Figure, ...]:
        return Counter()(place, progress) * 2

    with pytest.raises(ValueError, match="two figures of one name"):
        run(checkout, replace(claim(Counter()), measure=measure))


def test_a_time_is_the_median_with_the_shortest_and_the_longest() -> None:
    several, one = timed("t", "T", [3.0, 1.0, 2.0], "3 runs"), timed("t", "T", [3.0])
    assert (several.value, several.low, several.high, several.unit) == (2.0, 1.0, 3.0, "s")
    assert (one.value, one.low, one.high) == (3.0, None, None)
    assert "core" in several.note
    assert several.note.endswith("3 runs")
