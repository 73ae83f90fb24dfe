"""Any bare-metal program is emulated from its entry to its end, and what cannot be run is told in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from edgebci.cli.cycles import cycles
from edgebci.errors import InputError, VerificationError
from edgebci.firmware_sim.bare_program import load_bare, run_bare
from edgebci.firmware_sim.cores import find_core
from edgebci.pipeline.program_cycles import program_cycles

HERE = Path(__file__).resolve().parent / "native"
M4, M33 = find_core("cortex-m4f"), find_core("cortex-m33")


def test_a_program_starts_as_its_vector_table_says_and_ends_by_semihosting(bare: Path) -> None:
    run = run_bare(bare, M4)
    # `factor` is 7 only if its initial value was in flash, behind the code, for the program to copy.
    assert (run.printed, run.ended, run.exit_code) == ("right\n", "semihosting exit", 3)
    assert run.stack_peak_bytes is None
    assert load_bare(bare)[2] == 0x20010000


def test_a_function_runs_by_itself_on_a_stack_of_ours(bare: Path) -> None:
    run = run_bare(bare, M4, entry="sum_to")
    assert (run.ended, run.exit_code, run.printed) == ("returned", 0, "")
    assert run.stack_peak_bytes is not None
    assert run.cycles.instructions < 20


def test_breakpoints_and_symbols_end_a_run(bare: Path) -> None:
    assert run_bare(bare, M4, entry="stopped_by_bkpt").ended == "BKPT 1"
    assert run_bare(bare, M4, until="sum_to").ended == "came to sum_to"


def test_another_core_executes_the_same_program_in_other_cycles(bare: Path) -> None:
    m4, m33 = run_bare(bare, M4), run_bare(bare, M33)
    assert m4.cycles.instructions == m33.cycles.instructions
    assert m4.cycles.cycles > m33.cycles.cycles
    assert (m4.cycles.core, m33.cycles.core) == ("cortex-m4f", "cortex-m33")


def test_cycles_by_line_are_those_of_the_run_and_most_are_in_the_loop(bare: Path) -> None:
    run = run_bare(bare, M4)
    assert sum(line.cycles for line in run.lines) == pytest.approx(run.cycles.cycles, abs=len(run.lines))
    assert sum(line.instructions for line in run.lines) == run.cycles.instructions
    source = (HERE / "bare.c").read_text().splitlines()
    assert run.lines[0].file == "bare.c"
    assert source[run.lines[0].line - 1].strip() in ("sum += i * factor;", "for (uint32_t i = 1; i <= n; i++) {")


FAULTS = {
    "asks_for_a_file": "asks semihosting for operation 0x01, offered are output and exit",
    "reads_a_peripheral": "a read from 0x40001000, which is not mapped, in function reads_a_peripheral",
}


@pytest.mark.parametrize(("function", "message"), FAULTS.items())
def test_what_is_not_there_is_told_with_its_place(bare: Path, function: str, message: str) -> None:
    with pytest.raises(VerificationError, match=message):
        run_bare(bare, M4, entry=function)


def test_a_program_that_does_not_end_is_stopped(bare: Path) -> None:
    with pytest.raises(VerificationError, match="the program did not return within 100 instructions"):
        run_bare(bare, M4, instruction_limit=100)


def test_a_core_without_a_cycle_model_is_refused_by_name(bare: Path) -> None:
    with pytest.raises(InputError, match=r"runs by qemu-riscv32, .* give one of cortex-m4f, cortex-m7, cortex-m33"):
        program_cycles(bare, "riscv32", None, None, 1000)


def test_what_is_no_program_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.elf").write_text("not an ELF")
    for path, message in ((tmp_path / "text.elf", "not an ELF file"), (tmp_path / "no.elf", "cannot read")):
        with pytest.raises(InputError, match=message):
            program_cycles(path, "cortex-m4f", None, None, 1000)


def test_the_command_gives_band_and_ending_and_json_is_for_programs(bare: Path) -> None:
    app = typer.Typer()
    app.command()(cycles)
    table = CliRunner().invoke(app, [str(bare), "--core", "cortex-m4f"], terminal_width=200)
    assert table.exit_code == 0
    for said in ("semihosting exit, code 3", "±5%", "±10% on branchy code", "zero wait states", "sum_to", "right"):
        assert said in " ".join(table.output.replace("│", " ").split()), said
    document = json.loads(CliRunner().invoke(app, [str(bare), "--json"]).output)  # the ELF says cortex-m4
    assert document["core"] == "cortex-m4f"
    assert document["cycles"] == sum(f["cycles"] for f in document["functions"])
