"""Every claim, in the order of the README's table.

A claim's sources are what its figures depend on and no more: a new sentence in the command line must not cost an hour.
"""

from __future__ import annotations

from edgebci.pipeline.proof.claim import Claim
from edgebci.pipeline.proof.device_claims import measure_edge_student, measure_emulation
from edgebci.pipeline.proof.feature_claim import measure_features
from edgebci.pipeline.proof.large_recording_claim import measure_large_recording
from edgebci.pipeline.proof.pipeline_claims import measure_quickstart, measure_rat
from edgebci.pipeline.proof.sources import Sources
from edgebci.pipeline.proof.spectrum_claim import measure_spectrum
from edgebci.pipeline.proof.start_up_claim import measure_start_up
from edgebci.pipeline.proof.synthetic_claim import measure_synthetic

_HERE = "edgebci/pipeline/proof"
_CORE = ("edgebci/*.py", "edgebci/features/*.py")
_RECORDINGS = ("edgebci/recordings/*.py",)
_SYNTHETIC = ("edgebci/synthetic/*.py",)
_TRAINING = ("training/*.py",)
_EXPORT = ("export/*.py", "export/kernels/*.[ch]", "export/templates/*.j2")
_FIRMWARE = ("firmware_sim/*.py", "firmware_sim/native/*")
_PROFILES = ("hardware_profiles/**/*.toml",)
_PIPELINE = ("edgebci/pipeline/*.py", "edgebci/reporting/schema.py", "edgebci/reporting/sentences.py")
_RUN = (*_CORE, *_RECORDINGS, *_TRAINING, *_EXPORT, *_FIRMWARE, *_PROFILES, *_PIPELINE)
_REPORT_FIGURES = (f"{_HERE}/pipeline_claims.py", f"{_HERE}/report_figures.py")
_STUDENT = ("examples/edge_student.toml", "edgebci/pipeline/edge_student_program.py", f"{_HERE}/device_claims.py")
_PLACED = ("edgebci/pipeline/device.py", "edgebci/pipeline/placement.py", "edgebci/reporting/schema.py")
# What no figure depends on.
_ASIDE = ("edgebci/torch_download.py", "edgebci/features/precision.py", "edgebci/pipeline/cache.py")
_NOT_A_RUN = (*_ASIDE, "edgebci/edge_student.py", "edgebci/pipeline/edge_student_program.py")

CLAIMS = (
    Claim(
        name="quickstart",
        title="Quickstart, synthetic",
        command="edgebci run examples/quickstart.toml",
        sources=Sources(("examples/quickstart.toml", *_SYNTHETIC, *_RUN, *_REPORT_FIGURES), _NOT_A_RUN),
        minutes=5.0,
        measure=measure_quickstart,
    ),
    Claim(
        name="rat",
        title="Rat, running speed",
        command="edgebci run examples/rat_running_speed.toml --recording rat_r1838_open_field.nwb",
        sources=Sources(("examples/rat_running_speed.toml", *_RUN, *_REPORT_FIGURES), _NOT_A_RUN),
        minutes=6.0,
        measure=measure_rat,
        recording="rat_r1838_open_field.nwb",
    ),
    Claim(
        name="synthetic",
        title="Synthetic recordings",
        command="edgebci data synth recording.h5",
        sources=Sources((*_SYNTHETIC, *_RECORDINGS, "edgebci/files.py", f"{_HERE}/synthetic_claim.py")),
        minutes=5.0,
        measure=measure_synthetic,
    ),
    Claim(
        name="spectrum",
        title="Synthetic spectrum beside a rat's",
        command="edgebci proof --only spectrum",
        sources=Sources((*_SYNTHETIC, *_RECORDINGS, "edgebci/files.py", f"{_HERE}/spectrum_claim.py")),
        minutes=0.7,
        measure=measure_spectrum,
        recording="rat_r1838_open_field.nwb",
    ),
    Claim(
        name="features",
        title="Front end",
        command="edgebci proof --only features",
        sources=Sources(("edgebci/features/*.py", "edgebci/arithmetic.py", f"{_HERE}/feature_claim.py")),
        minutes=1.5,
        measure=measure_features,
    ),
    Claim(
        name="edge_student",
        title="Reference decoder (examples/edge_student.toml)",
        command="edgebci proof --only edge_student",
        sources=Sources(
            (*_CORE, *_EXPORT, *_FIRMWARE, *_PROFILES, *_STUDENT, *_PLACED, f"{_HERE}/report_figures.py"), _ASIDE
        ),
        minutes=2.0,
        measure=measure_edge_student,
    ),
    Claim(
        name="emulation",
        title="Emulator",
        command="edgebci proof --only emulation",
        sources=Sources((*_CORE, *_EXPORT, *_FIRMWARE, *_STUDENT), _ASIDE),
        minutes=0.5,
        measure=measure_emulation,
    ),
    Claim(
        name="start_up",
        title="Command line",
        command="edgebci --help",
        sources=Sources(("edgebci/cli/*.py", "edgebci/*.py", f"{_HERE}/start_up_claim.py")),
        minutes=0.2,
        measure=measure_start_up,
    ),
    Claim(
        name="large_recording",
        title="Large recordings",
        command="edgebci data convert large.nwb large.h5",
        sources=Sources((*_RECORDINGS, "edgebci/files.py", f"{_HERE}/large_recording_claim.py")),
        minutes=1.0,
        measure=measure_large_recording,
    ),
)
