"""A small report with plausible values, for tests of the page; none of its figures is a result."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from edgebci.comparison import Comparison, compare, score
from edgebci.quantization_error import QuantizationReport, QuantizerError
from edgebci.reporting.schema import (
    AssumedInput,
    BaselineSection,
    BitExactness,
    DataSection,
    DecoderSection,
    FirmwareSection,
    FormScore,
    FunctionCost,
    GraphCheck,
    ImplantSection,
    MemorySection,
    PowerPart,
    Report,
    Span,
    SplitSection,
    StageSection,
)
from edgebci.reporting.sections import (
    CycleDistribution,
    ErrorSection,
    Event,
    Pictures,
    ScatterSection,
    TimelineSection,
    TornadoBar,
    Traces,
    TraceSection,
    TransportSection,
)
from edgebci.reporting.sentences import DEVICE_FORM

RATE_HZ = 10.0


def span(value: float) -> Span:
    return Span(low=0.8 * value, typical=value, high=1.3 * value)


@pytest.fixture(scope="session")
def traces() -> Traces:
    random = np.random.default_rng(0)
    truth = np.cumsum(random.normal(size=(2000, 2)), axis=0)
    decoded = {name: truth + random.normal(size=truth.shape) for name in ("torch", DEVICE_FORM, "ridge")}
    return Traces(times_s=np.arange(2000) / RATE_HZ, truth=truth, decoded=decoded)


@pytest.fixture(scope="session")
def report(traces: Traces) -> Report:
    scores = {name: score(traces.truth, decoded, RATE_HZ) for name, decoded in traces.decoded.items()}
    against = compare(traces.truth, [traces.decoded["torch"]], traces.decoded["ridge"], RATE_HZ, 0.02)
    forms = tuple(
        FormScore(name=name, score=scores[name], r2_with_flagged_frames=0.5) for name in ("torch", DEVICE_FORM)
    )
    return Report(
        name="example <b>&</b>",
        created_utc="2026-01-01T00:00:00Z",
        edgebci_version="0",
        command="edgebci run x.toml",
        data=data_section(),
        decoder=DecoderSection(
            n_parameters=1,
            macs_per_step=78592,
            int8_mac_share=0.98,
            weight_bytes=80000,
            state_bytes=9000,
            teacher_parameters=2,
            seeds=(1,),
            exported_seed=1,
        ),
        forms=forms,
        baseline=BaselineSection(
            description="Ridge.", score=scores["ridge"], student_against_ridge=against, device_against_torch=against
        ),
        graphs=(GraphCheck(name="float graph", n_steps=100, detail="fine"),),
        bit_exactness=BitExactness(
            n_frames=2000, reference_equals_host=True, host_equals_target=True, compared="outputs and states"
        ),
        firmware=firmware_section(),
        implants=(implant_section(), implant_section()),
        stages=(StageSection(name="features", seconds=1.0, was_kept=True),),
        configuration={"seed": 1},
        pictures=pictures(traces),
        quantization=quantization(against),
        versions={"numpy": "2.0"},
        hashes={"recording": "0" * 64, "bundle": "1" * 64},
    )


def pictures(traces: Traces) -> Pictures:
    scored = np.ones(len(traces.truth), bool)
    scored[100:400] = False  # one whole bin and more
    return Pictures(
        traces=TraceSection.of(traces),
        scatter=ScatterSection.of(DEVICE_FORM, traces.truth, traces.decoded[DEVICE_FORM]),
        errors=ErrorSection.of(traces, scored),
    )


def quantization(loss: Comparison) -> QuantizationReport:
    kinds: tuple[tuple[str, Literal["activation", "state", "output"]], ...] = (
        ("frame", "activation"),
        ("ssm.0.next", "state"),
        ("output", "output"),
    )
    return QuantizationReport(
        name="a student",
        frame_rate_hz=RATE_HZ,
        n_steps=20,
        bin_steps=10,
        r2_float=0.5,
        r2_quantized=0.49,
        loss=loss,
        quantizers=tuple(
            QuantizerError(
                name=name, kind=kind, sqnr_db=40.0, sqnr_db_per_bin=(41.0, None), largest_count=127,
                range_per_bin=(0.5, 0.6), saturated_share=0.0, first_saturated_step=None,
            )
            for name, kind in kinds
        ),
        costs=(),
        costs_note="not measured",
    )  # fmt: skip


def data_section() -> DataSection:
    split = SplitSection(
        train_s=(0, 60),
        validation_s=(62, 80),
        test_s=(82, 100),
        gap_s=2,
        gap_reasons_s={"lag window": 1.2},
        residual_autocorrelation_s=0.5,
    )
    return DataSection(
        source="synthetic",
        sha256="0" * 64,
        subject_id="s",
        session_id="1",
        duration_s=100,
        n_channels=8,
        n_good_channels=7,
        lfp_rate_hz=1000,
        frame_rate_hz=10,
        n_features=32,
        target="velocity",
        target_unit="cm/s",
        axes=("x", "y"),
        n_test_frames=2000,
        n_scored_frames=1900,
        notes=("a note",),
        split=split,
    )


def firmware_section() -> FirmwareSection:
    functions = tuple(
        FunctionCost(name=f"function_{k}", part=part, cycles_per_step=1000.0 * k, instructions_per_step=900.0 * k)
        for k, part in enumerate(("front end", "decoder", "harness"), start=1)
    )
    return FirmwareSection(
        core="cortex-m4f",
        compiler="zig",
        flash_bytes=100_000,
        ram_bytes=50_000,
        stack_bytes=500,
        instructions_per_step=5e5,
        cycles_per_step=span(6e5),
        worst_step_cycles=7e5,
        decoder_cycles_per_step=3e5,
        front_end_cycles_per_step=3e5,
        functions=functions,
        assumptions=("Zero wait states.",),
        step_cycles=CycleDistribution.of(np.array([6e5, 6e5, 6.1e5, 7e5])),
    )


def implant_section() -> ImplantSection:
    return ImplantSection(
        implant="utah96-lfp",
        compute="stm32l4r5",
        radio="ble-2m",
        parts=(PowerPart(name="amplifiers", power_uw=span(500)), PowerPart(name="compute", power_uw=span(3000))),
        total_uw=span(3500),
        radio_bit_s=span(3200),
        radio_capacity_bit_s=1.3e6,
        latency_us=span(5000),
        deadline_us=20000,
        meets_deadline="yes",
        battery_h=span(100),
        temperature_rise_c=None,
        temperature_limit_c=None,
        dominant="energy per cycle",
        findings=("Fits.",),
        memory=MemorySection(flash_bytes=1000, flash_available_bytes=4000, ram_bytes=500, ram_available_bytes=1000),
        tornado=(TornadoBar(input="compute.energy", at_low=3000, at_high=4500),),
        timeline=TimelineSection(
            period_ms=20.0,
            events=(
                Event(lane="core", start_ms=0.0, stop_ms=5.0),
                Event(lane="output", start_ms=6.0, stop_ms=6.0, note="6.0 ms"),
            ),
            source="A simulation.",
        ),
        transport=TransportSection.of(np.array([6.0, 6.5, 7.0]), n_lost=1, seconds=60, budget_ms=100),
        assumed=(AssumedInput(name="sleep current", value="2 µA", source="from memory"),),
    )
