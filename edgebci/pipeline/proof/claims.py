"""Every claim, in the order of the README's table.

A claim's sources are what its figures depend on and no more: a new sentence in the command line must not cost an hour.
"""

from __future__ import annotations

from edgebci.pipeline.proof.claim import Claim
from edgebci.pipeline.proof.device_claims import measure_edge_student, measure_emulation
from edgebci.pipeline.proof.feature_claim import measure_features
from edgebci.pipeline.proof.firmware_claims import firmware_claims
from edgebci.pipeline.proof.gate_claim import gate_claim
from edgebci.pipeline.proof.hardware_claims import hardware_claims
from edgebci.pipeline.proof.large_recording_claim import measure_large_recording
from edgebci.pipeline.proof.pipeline_claims import measure_quickstart, measure_rat
from edgebci.pipeline.proof.quantization_claim import quantization_claim
from edgebci.pipeline.proof.simulation_claim import measure_simulation
from edgebci.pipeline.proof.sources import Sources
from edgebci.pipeline.proof.spectrum_claim import measure_spectrum
from edgebci.pipeline.proof.start_up_claim import measure_start_up
from edgebci.pipeline.proof.study_claims import study_claims
from edgebci.pipeline.proof.synthetic_claim import measure_synthetic
from edgebci.pipeline.proof.throughput_claim import measure_throughput

_PROOF = "edgebci.pipeline.proof"
_C = ("export/kernels/**/*.[ch]", "export/templates/*.j2", "firmware_sim/native/*")
_PROFILES = ("hardware_profiles/**/*.toml",)
_STUDENT = ("examples/edge_student.toml",)
# Imported, and no figure depends on it: pictures, and how finished stages are kept.
_ASIDE = (
    "edgebci/pipeline/cache.py",
    "edgebci/pipeline/imports.py",
    "edgebci/pipeline/proof/claim.py",
    "edgebci/pipeline/proof/sources.py",
    "edgebci/reporting/*_figure*.py",
    "edgebci/reporting/*page.py",
    "edgebci/reporting/drawing.py",
    "edgebci/reporting/figures.py",
    "edgebci/reporting/sentences.py",
)

CLAIMS = (
    Claim(
        name="quickstart",
        title="Quickstart, synthetic",
        command="edgebci run examples/quickstart.toml",
        sources=Sources(
            ("edgebci.pipeline.run", f"{_PROOF}.pipeline_claims"), ("examples/quickstart.toml", *_C, *_PROFILES), _ASIDE
        ),
        minutes=5.0,
        measure=measure_quickstart,
        quoted=(
            "r2_device_host_twin",
            "r2_ridge",
            "ridge_difference",
            "bit_exact_frames",
            "seconds",
        ),
    ),
    Claim(
        name="rat",
        title="Rat, running speed",
        command="edgebci run examples/rat_running_speed.toml --recording rat_r1838_open_field.nwb",
        sources=Sources(
            ("edgebci.pipeline.run", f"{_PROOF}.pipeline_claims"),
            ("examples/rat_running_speed.toml", *_C, *_PROFILES),
            _ASIDE,
        ),
        minutes=6.0,
        measure=measure_rat,
        recording="rat_r1838_open_field.nwb",
        quoted=("r2_device_host_twin",),
    ),
    *study_claims(
        (
            "distillation",
            "realm",
            "crossmodal",
            "crossmodal_worlds",
            "crossmodal_linear",
            "crossmodal_rat",
            "possm",
            "rats",
            "sizes",
        ),
        _ASIDE,
    ),
    Claim(
        name="edge_student",
        title="Reference decoder (examples/edge_student.toml)",
        command="edgebci proof --only edge_student",
        sources=Sources((f"{_PROOF}.device_claims",), (*_STUDENT, *_C, *_PROFILES), _ASIDE),
        minutes=2.0,
        measure=measure_edge_student,
        quoted=(
            "macs_per_step",
            "flash_bytes",
            "utah96_lfp_power",
        ),
    ),
    quantization_claim(_ASIDE),
    *firmware_claims(
        ("fixed_step", "fixed_error", "helium", "host_speed", "firmware_bits", "firmware_day", "fuzzing"), _ASIDE
    ),
    Claim(
        name="emulation",
        title="Emulator",
        command="edgebci proof --only emulation",
        sources=Sources((f"{_PROOF}.device_claims",), (*_STUDENT, *_C), _ASIDE),
        minutes=0.5,
        measure=measure_emulation,
        quoted=("profiled",),
    ),
    gate_claim(_ASIDE),
    *hardware_claims(_ASIDE),
    Claim(
        name="simulation",
        title="Simulating an implant",
        command="edgebci proof --only simulation",
        sources=Sources(
            (f"{_PROOF}.simulation_claim", "edgebci.pipeline.simulation.run"), (*_STUDENT, *_C, *_PROFILES), _ASIDE
        ),
        minutes=6.0,
        measure=measure_simulation,
    ),
    Claim(
        name="synthetic",
        title="Synthetic recordings",
        command="edgebci data synth recording.h5",
        sources=Sources((f"{_PROOF}.synthetic_claim",), (), _ASIDE),
        minutes=5.0,
        measure=measure_synthetic,
        quoted=("accepted",),
    ),
    Claim(
        name="throughput",
        title="Training",
        command="edgebci bench train",
        sources=Sources((f"{_PROOF}.throughput_claim",), (), _ASIDE),
        minutes=1.5,
        measure=measure_throughput,
        quoted=(
            "small_times_transformers_chunks_of_64",
            "base_times_quadratic_dual_form",
        ),
    ),
    Claim(
        name="start_up",
        title="Command line",
        command="edgebci --help",
        sources=Sources((f"{_PROOF}.start_up_claim",), ("edgebci/cli/*.py", "edgebci/errors.py"), _ASIDE),
        minutes=0.2,
        measure=measure_start_up,
    ),
    Claim(
        name="spectrum",
        title="Synthetic spectrum beside a rat's",
        command="edgebci proof --only spectrum",
        sources=Sources((f"{_PROOF}.spectrum_claim",), (), _ASIDE),
        minutes=0.7,
        measure=measure_spectrum,
        recording="rat_r1838_open_field.nwb",
    ),
    Claim(
        name="features",
        title="Front end",
        command="edgebci proof --only features",
        sources=Sources((f"{_PROOF}.feature_claim",), (), _ASIDE),
        minutes=1.5,
        measure=measure_features,
    ),
    Claim(
        name="large_recording",
        title="Large recordings",
        command="edgebci data convert large.nwb large.h5",
        sources=Sources((f"{_PROOF}.large_recording_claim",), (), _ASIDE),
        minutes=1.0,
        measure=measure_large_recording,
    ),
)
