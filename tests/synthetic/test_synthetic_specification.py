"""Every constant says what it is, in which unit and on what evidence."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from edgebci.documents import parse
from edgebci.errors import InputError
from edgebci.synthetic import SyntheticSpec, drawn
from edgebci.synthetic.constants import sweep_of

UNITS = ("_hz", "_s", "_ms", "_cm", "_mm", "_uv", "_uv_ms", "_deg", "_m_per_s", "_nv_per_rthz", "_db", "_uv2_per_hz")
NUMBERS_WITHOUT_UNIT = (
    *("_fraction", "_cv", "_share", "_gain", "_factor", "_sd", "_overlap", "_correlation", "_constants", "_depth"),
    *("rho", "n_latents", "n_units", "n_cells", "n_sources", "n_channels", "seed", "subject", "session"),
    *("mains_harmonics", "family", "linear", "label_shuffle", "spike_shuffle"),
)


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            yield from leaves(type(field.default), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


FIELDS = dict(leaves(SyntheticSpec))


def extra_of(name: str) -> dict[str, object]:
    extra = FIELDS[name].json_schema_extra
    assert isinstance(extra, dict), f"{name} was declared without evidence"
    return dict(extra)


@pytest.mark.parametrize("name", FIELDS)
def test_each_constant_has_a_text_a_class_and_a_unit(name: str) -> None:
    extra = extra_of(name)
    assert extra["evidence"] in ("assumed", "paper", "setting")
    assert FIELDS[name].description
    assert name.endswith((*UNITS, *NUMBERS_WITHOUT_UNIT)), f"{name} has no unit in its name"


def test_a_constant_from_a_paper_names_it() -> None:
    papers = [name for name in FIELDS if extra_of(name)["evidence"] == "paper"]
    assert "latents.lead_ms" in papers
    assert all("19" in str(extra_of(name)["source"]) or "20" in str(extra_of(name)["source"]) for name in papers)


def test_a_drawn_specification_is_valid_and_within_every_sweep() -> None:
    spec = drawn(SyntheticSpec(), np.random.default_rng(0))
    assert SyntheticSpec.model_validate(spec.model_dump()) == spec
    swept = {name: sweep for name, field in FIELDS.items() if (sweep := sweep_of(field))}
    assert len(swept) >= 15
    for name, (low, high) in swept.items():
        group, _, key = name.rpartition(".")
        value = getattr(getattr(spec, group), key)
        assert low <= value <= high, name
        assert value != FIELDS[name].default or isinstance(value, int), name


def test_each_default_lies_within_its_sweep() -> None:
    for name, field in FIELDS.items():
        if sweep := sweep_of(field):
            assert sweep[0] <= field.default <= sweep[1], name


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"latents": {"roh": 0.3}}, "did you mean 'rho'"),
        ({"rate_hz": 990.0}, "does not divide"),
        ({"beta": {"burst_s": [0.3, 0.1]}}, "swap them"),
        ({"duration_s": -1}, "duration_s"),
        ({"oscillators": {"bands_uv": [1.0]}}, "give one for each"),
    ],
)
def test_a_wrong_specification_is_one_sentence_about_the_key(content: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse(content, SyntheticSpec, "quickstart.toml")


def test_a_specification_survives_json() -> None:
    spec = drawn(SyntheticSpec(seed=3, family="oscillators"), np.random.default_rng(1))
    assert SyntheticSpec.model_validate_json(spec.model_dump_json()) == spec
