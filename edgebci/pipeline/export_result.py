"""What a bundle is worth, in figures: of one that was just written, and of one that lies there."""

from __future__ import annotations

from pathlib import Path

from edgebci.bundle import Bundle, open_bundle
from edgebci.foreign.bundle import ForeignBundle, open_foreign_bundle
from edgebci.pipeline.bundle_kinds import manifest_of
from edgebci.pipeline.export_order import ExportResult
from edgebci.possm_bundle import PossmBundle, open_possm_bundle
from edgebci.targets import Target


def read_result(folder: Path) -> ExportResult:
    """That of a bundle of any kind, after comparing its hashes; raises InputError as opening does."""
    kind, _ = manifest_of(folder)
    if kind == "foreign":
        return foreign_result(open_foreign_bundle(folder))
    return spikes_result(open_possm_bundle(folder)) if kind == "spikes" else frames_result(open_bundle(folder))


def frames_result(bundle: Bundle, notes: tuple[str, ...] = ()) -> ExportResult:
    """That of a decoder of frames."""
    manifest, work = bundle.manifest, bundle.manifest.workload
    block = manifest.parameters
    old = () if block else ("written as edgebci.bundle/1, without parameter block and bill of materials",)
    return ExportResult(
        bundle=bundle.folder,
        bundle_id=manifest.bundle_id,
        target=manifest.target,
        precision=manifest.precision,
        arithmetic=manifest.arithmetic,
        front_end=manifest.front_end,
        n_files=len(manifest.files),
        size_bytes=sum(record.size_bytes for record in manifest.files.values()),
        macs_per_step=work.macs,
        int8_share=manifest.int8_share,
        weight_bytes=work.weight_bytes,
        state_bytes=work.state_bytes,
        parameter_bytes=block.size_bytes if block else None,
        verified_steps=manifest.float_agreement.steps,
        accuracy=manifest.accuracy,
        loss=manifest.loss,
        notes=(*notes, *old),
    )


def notes_of_target(goal: Target, bundle: Path) -> tuple[str, ...]:
    """What there is to say of a target whose engine is built there."""
    if goal.kind != "jetson":
        return ()
    from edgebci.export.tensorrt.engine import engine_note

    return (engine_note(bundle / "jetson"),)


def spikes_result(bundle: PossmBundle, notes: tuple[str, ...] = ()) -> ExportResult:
    """That of a decoder of spikes."""
    from edgebci.training.possm.workload import possm_workload

    manifest, work = bundle.manifest, possm_workload(bundle.manifest.spec)
    return ExportResult(
        bundle=bundle.folder,
        bundle_id=manifest.bundle_id,
        target=manifest.target,
        precision=manifest.precision,
        n_files=len(manifest.files),
        size_bytes=sum(record.size_bytes for record in manifest.files.values()),
        macs_per_step=work.token_macs + work.beyond_macs,
        int8_share=manifest.int8_share,
        weight_bytes=manifest.weight_bytes,
        state_bytes=manifest.state_bytes,
        parameter_bytes=None,
        verified_steps=manifest.float_agreement.steps,
        accuracy=manifest.accuracy,
        loss=manifest.loss,
        notes=notes,
    )


def foreign_result(bundle: ForeignBundle) -> ExportResult:
    """That of a decoder made elsewhere, which has no truth to be scored against."""
    manifest = bundle.manifest
    made_by = f"{manifest.model.name} by {manifest.model.producer or 'nobody named'}, opset {manifest.model.opset}"
    ratios = ", ".join(f"{name} {ratio:.1f} dB" for name, ratio in (manifest.quantization_snr_db or {}).items())
    return ExportResult(
        bundle=bundle.folder,
        bundle_id=manifest.bundle_id,
        target=manifest.target,
        precision=manifest.precision,
        n_files=len(manifest.files),
        size_bytes=sum(record.size_bytes for record in manifest.files.values()),
        macs_per_step=manifest.macs,
        int8_share=manifest.int8_share if manifest.quantization is not None else None,
        weight_bytes=manifest.weight_bytes,
        state_bytes=manifest.state_bytes,
        parameter_bytes=None,
        verified_steps=manifest.float_agreement.steps,
        notes=(made_by, *((f"output over what quantization adds: {ratios}",) if ratios else ())),
    )
