"""What a REALM student costs: published figures at published sizes, and the limits of an implant."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebci.documents import load_toml
from edgebci.training.realm.model import CausalEncoder, RealmDecoder, make_encoder
from edgebci.training.realm.recipe import RealmRecipe
from edgebci.training.realm.spec import EDGE, EDGE_LINEAR, REALM, REALM_BI_L, REALM_L, REALM_S, EncoderSpec
from edgebci.training.realm.workload import EDGE_FLASH_BYTES, EDGE_MACS, realm_workload

RECIPES = Path(__file__).resolve().parents[2] / "examples" / "recipes"


@pytest.mark.parametrize(("spec", "mmac"), [(REALM_S, 2.44), (REALM, 5.83), (REALM_L, 12.6)])
def test_the_counts_are_those_computed_for_the_published_sizes(spec: EncoderSpec, mmac: float) -> None:
    assert realm_workload(spec, 2).macs / 1e6 == pytest.approx(mmac, abs=0.05)


@pytest.mark.parametrize("spec", [EDGE, EDGE_LINEAR])
def test_an_edge_student_keeps_both_limits_and_says_what_it_needs(spec: EncoderSpec) -> None:
    needs = realm_workload(spec, 2)
    assert needs.fits_edge
    assert needs.beyond_macs <= EDGE_MACS
    assert needs.weight_bytes <= EDGE_FLASH_BYTES
    assert f"{needs.tokenizer_macs:,} MACs per output in the tokenizer" in needs.summary()
    assert f"{needs.beyond_macs:,} beyond it" in needs.summary()
    assert not realm_workload(REALM_S, 2).fits_edge


@pytest.mark.parametrize("spec", [EDGE, EDGE_LINEAR, REALM_S])
def test_every_parameter_has_at_least_one_byte_and_matrices_have_one_each(spec: EncoderSpec) -> None:
    decoder = RealmDecoder(make_encoder(spec), 2)
    sizes = [p.numel() for p in decoder.parameters()]
    assert sum(sizes) < realm_workload(spec, 2).weight_bytes < 1.2 * sum(sizes)


def test_a_stream_carries_what_its_state_holds() -> None:
    encoder = make_encoder(EDGE)
    assert isinstance(encoder, CausalEncoder)
    state = encoder.initial_state(1)
    held = state.tokenizer.frames.numel() + sum(t.numel() for layer in state.layers for t in layer[:2])
    assert realm_workload(EDGE, 2).state_values == held + EDGE.n_channels + 1


def test_the_recipes_name_every_hyper_parameter() -> None:
    import tomllib

    for name in ("realm_paper", "realm_edge", "realm_edge_linear"):
        path = RECIPES / f"{name}.toml"
        recipe = load_toml(path, RealmRecipe)
        written = tomllib.loads(path.read_text())
        missing = _absent(recipe.model_dump(by_alias=True), written)
        assert missing == [], name


def test_the_paper_recipe_is_the_published_one_and_the_edge_recipe_fits_an_implant() -> None:
    names = ("paper", "edge", "edge_linear")
    paper, edge, linear = (load_toml(RECIPES / f"realm_{name}.toml", RealmRecipe) for name in names)
    assert paper == RealmRecipe(
        schema="edgebci.realm/1",
        teacher=REALM_BI_L.as_published(),
        student=REALM.as_published(),
        seed=paper.seed,
        threads=paper.threads,
    )
    assert not paper.student.exportable
    for recipe in (edge, linear):
        assert recipe.student.exportable
        assert realm_workload(recipe.student, 2).fits_edge


def _absent(wanted: dict[str, object], written: dict[str, object], prefix: str = "") -> list[str]:
    missing = []
    for key, value in wanted.items():
        if key not in written:
            missing.append(prefix + key)
        elif isinstance(value, dict):
            inner = written[key]
            assert isinstance(inner, dict)
            missing += _absent(value, inner, f"{prefix}{key}.")
    return missing
