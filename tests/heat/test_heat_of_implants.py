"""Warmth of implants by location: the tissue that binds, the published figure as a ratio, and recharging."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random

import pytest

from edgebci.errors import InputError
from edgebci.firmware_sim.battery import recharge_h
from edgebci.firmware_sim.design import Design, assemble
from edgebci.firmware_sim.heat import body as body_module
from edgebci.firmware_sim.heat.body import body, body_input_names, surroundings
from edgebci.firmware_sim.heat.charging import recharge_warmth
from edgebci.firmware_sim.heat.implant import (
    allowed_mw,
    flux_mw_per_cm2,
    layered_rise_c_per_mw,
    published_rise,
    rise_after_c_per_mw,
    warmth,
)
from edgebci.firmware_sim.heat.report import heat_by_location
from edgebci.firmware_sim.radio_link_loss import spectrum
from edgebci.firmware_sim.thermal import disc_c_per_w, dissipated_uw
from edgebci.firmware_sim.uncertainty import estimate, typical
from edgebci.hardware import ComputePart, HeatSource, Implant, Radio, load_profile, profile_names
from edgebci.quantity import Quantity
from tests.implant_examples import reference_load

ARRAY = load_profile(Implant, "utah96-lfp").heat_sources["array"]


def _at(location: str, **changes: object) -> HeatSource:
    return ARRAY.model_copy(update={"location": location, **changes})


def _quantity(value: float, unit: str) -> Quantity:
    return Quantity.model_validate({"value": value, "unit": unit, "source": "chosen", "class": "assumed"})


@pytest.mark.parametrize("name", profile_names(Implant))
def test_every_shipped_implant_warms_its_surroundings_less_with_distance(name: str) -> None:
    for source in load_profile(Implant, name).heat_sources.values():
        found = warmth(source, typical)
        over = len(surroundings(source.location).over)
        outwards = [layer.c_per_mw for layer in found.layers[:over]][::-1]
        inwards = [layer.c_per_mw for layer in found.layers[over:]]
        assert sorted(outwards, reverse=True) == outwards
        assert sorted(inwards, reverse=True) == inwards
        assert found.source_c_per_mw == max([*outwards, *inwards])
        assert 0.0 < allowed_mw(source, typical) < math.inf


def test_brain_is_allowed_1_c_and_other_tissue_2_c() -> None:
    limits = {
        layer.layer: layer.limit_c for place in ("cortex", "chest") for layer in warmth(_at(place), typical).layers
    }
    brain = {"csf", "grey-matter", "white-matter"}
    assert {name for name, limit_c in limits.items() if limit_c == 1.0} == brain
    assert {name for name, limit_c in limits.items() if limit_c == 2.0} == set(limits) - brain


def test_the_power_that_is_allowed_warms_the_binding_tissue_by_its_limit() -> None:
    found = warmth(ARRAY, typical)
    assert found.binding.layer in {"csf", "grey-matter"}
    assert found.surface_limit_c == 1.0
    assert allowed_mw(ARRAY, typical) * found.binding.c_per_mw == pytest.approx(found.binding.limit_c)
    assert flux_mw_per_cm2(ARRAY, 3.2, typical) == pytest.approx(3.2 / ARRAY.contact_area_cm2.typical)


def test_an_implant_farther_from_the_brain_warms_it_less() -> None:
    def of_grey_matter(location: str) -> float:
        return next(x.c_per_mw for x in warmth(_at(location), typical).layers if x.layer == "grey-matter")

    rises = [of_grey_matter(location) for location in ("cortex", "epidural", "skull", "subgaleal")]
    assert sorted(rises, reverse=True) == rises
    assert rises[0] > 5 * rises[-1]


def test_a_small_disc_with_an_insulated_back_feels_little_but_the_tissue_under_it() -> None:
    # Its rise is at most that of one in a plane that lets no heat through at all, and less by what crosses that plane
    # beside it into fat, which conducts half as well as muscle: under a fifth.
    source = _at("chest", back_side="insulated", contact_area_cm2=_quantity(0.01, "cm2"))
    muscle = next(layer.tissue for layer in surroundings("chest").under)
    closed = disc_c_per_w(
        math.sqrt(0.01e-4 / math.pi), muscle.conductivity_w_per_m_k.typical, muscle.perfusion_w_per_m3_k.typical
    )
    found = layered_rise_c_per_mw(source, typical) * 1e3
    assert 0.8 * closed < found <= 1.01 * closed


def test_draws_from_all_ranges_stay_inside_the_range_of_the_estimate() -> None:
    names = body_input_names() | {id(ARRAY.contact_area_cm2): "area"}
    result = estimate(lambda pick: layered_rise_c_per_mw(ARRAY, pick), "C/mW", names)
    random = Random(1)
    for _ in range(15):
        drawn: dict[int, float] = {}

        def somewhere(quantity: Quantity, drawn: dict[int, float] = drawn) -> float:
            share = drawn.setdefault(id(quantity), random.random())
            return quantity.low + share * (quantity.high - quantity.low)

        # 1 %: the grid follows the layers.
        assert result.low * 0.99 <= layered_rise_c_per_mw(ARRAY, somewhere) <= result.high * 1.01
    assert result.inputs[0].input == "area"


def test_the_published_rise_of_the_array_is_a_ratio_and_changes_nothing() -> None:
    found = published_rise(ARRAY)
    assert found is not None
    assert found.published_c_per_mw == 0.029
    assert found.published_over_modelled == pytest.approx(0.029 / layered_rise_c_per_mw(ARRAY, typical))
    assert "needles" in found.differs
    silent = _at("cortex", published_rise_c_per_mw=None)
    assert layered_rise_c_per_mw(silent, typical) == layered_rise_c_per_mw(ARRAY, typical)
    assert published_rise(silent) is None


def test_a_rise_in_time_ends_at_the_steady_one() -> None:
    times_s = (1.0, 60.0, 3600.0)
    rises = [rise_after_c_per_mw(ARRAY, time_s, typical) for time_s in times_s]
    assert sorted(rises) == rises
    assert rises[-1] == pytest.approx(layered_rise_c_per_mw(ARRAY, typical), rel=0.01)
    assert rises[0] < 0.5 * rises[-1]


def test_a_tissue_without_heat_capacity_is_refused_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    around = surroundings("cortex")
    bare = around.under[0].tissue.model_copy(update={"density_kg_per_m3": None})
    layer = body_module.BodyLayer("grey-matter", bare, around.under[0].thickness_mm)
    changed = body_module.Surroundings(around.over, (layer, *around.under[1:]), around.air_w_per_m2_k)
    monkeypatch.setattr("edgebci.firmware_sim.heat.implant.surroundings", lambda _: changed)
    with pytest.raises(InputError, match="density_kg_per_m3"):
        rise_after_c_per_mw(_at("cortex"), 12.5, typical)


def _design(**battery: Quantity | None) -> Design:
    implant = load_profile(Implant, "borton-2013")
    assert implant.battery is not None
    changed = implant.model_copy(update={"battery": implant.battery.model_copy(update=battery)})
    load = reference_load("cortex-m33")
    return assemble(changed, load_profile(ComputePart, "stm32u385"), load_profile(Radio, "ble-2m"), load)


def test_recharging_warms_more_than_working_and_a_better_charger_less() -> None:
    power = _quantity(300.0, "mW")
    found, better = (
        recharge_warmth(_design(charge_mw=power, charge_efficiency=_quantity(share, "1")), typical)
        for share in (0.6, 0.9)
    )
    assert found is not None
    assert better is not None
    assert found.working_c < better.charging_c < found.charging_c <= found.settled_c * 1.001
    assert found.lost_mw == pytest.approx(120.0)
    battery = _design(charge_mw=power, charge_efficiency=_quantity(0.6, "1")).implant.battery
    assert battery is not None
    assert found.hours == pytest.approx(recharge_h(battery, power, typical))


def test_what_is_not_recharged_has_no_such_scenario() -> None:
    assert recharge_warmth(_design(charge_mw=None), typical) is None


def test_every_layer_of_the_body_is_known_to_heat_and_to_radio_waves() -> None:
    for place in body().places:
        around = surroundings(place)
        for layer in around.over + around.under[:-1]:
            assert layer.thickness_mm is not None
        for layer in around.over:
            assert spectrum(layer.tissue.name).source
    assert len(set(body_input_names().values())) == len(body_input_names())


def test_the_report_multiplies_power_by_slopes_and_judges_by_the_binding_tissue() -> None:
    design = _design(charge_mw=_quantity(300.0, "mW"), charge_efficiency=_quantity(0.6, "1"))
    (found,) = heat_by_location(design)
    name, source = next(iter(design.implant.heat_sources.items()))
    slopes = warmth(source, typical)
    assert (found.source, found.location) == (name, source.location)
    power_mw = dissipated_uw(design, source, typical) * 1e-3
    assert found.power_mw.typical == pytest.approx(power_mw)
    assert found.rise_c.typical == pytest.approx(power_mw * slopes.source_c_per_mw)
    assert found.flux_mw_per_cm2.typical == pytest.approx(power_mw / source.contact_area_cm2.typical)
    assert [layer.layer for layer in found.layers] == [layer.layer for layer in slopes.layers]
    for layer, slope in zip(found.layers, slopes.layers, strict=True):
        assert layer.rise_c.typical == pytest.approx(power_mw * slope.c_per_mw)
        assert layer.rise_c.low <= layer.rise_c.typical <= layer.rise_c.high
        assert (layer.within_limit == "yes") == (layer.rise_c.high <= layer.limit_c)
    assert found.recharge is not None
    assert found.recharge.charging_c > found.rise_c.typical
    # A can under the scalp touches skin and skull.
    assert found.recharge.limit_c == 2.0
    assert type(found).model_validate_json(found.model_dump_json()) == found


def test_a_watt_scorches_and_the_allowed_power_does_not() -> None:
    design = _design(charge_mw=None)
    hot = replace(design, implant=design.implant.model_copy(update={"standing_uw": _quantity(1e6, "uW")}))
    (found,) = heat_by_location(hot)
    assert {layer.within_limit for layer in found.layers} >= {"no"}
    slopes = {layer.layer: layer.rise_c.high / found.power_mw.high for layer in found.layers}
    assert all(found.allowed_mw * slopes[layer.layer] <= layer.limit_c * (1 + 1e-9) for layer in found.layers)
