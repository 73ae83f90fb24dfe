"""The `edgebci` command: the tour of what it can do, and how every error reaches the user.

Heavy libraries are imported inside the commands, so that `edgebci --help` answers at once.
"""

from __future__ import annotations

import errno
import sys
from typing import Annotated

import typer

from edgebci import __version__
from edgebci.cli.bench import bench_app
from edgebci.cli.broadband import broadband_app
from edgebci.cli.budget import budget
from edgebci.cli.bundle import bundle_app
from edgebci.cli.bundle_on_host import hash_bundle, time_bundle
from edgebci.cli.bundle_rewrite import rewrite_bundle
from edgebci.cli.calibrate import calibrate
from edgebci.cli.claims import claims
from edgebci.cli.cycles import cycles
from edgebci.cli.data import data_app
from edgebci.cli.doctor import doctor
from edgebci.cli.evaluate import evaluate
from edgebci.cli.export import export
from edgebci.cli.fetch import fetch
from edgebci.cli.gate import gate_app
from edgebci.cli.init import init
from edgebci.cli.precision import precision_app
from edgebci.cli.profiles import profiles_app
from edgebci.cli.proof import proof
from edgebci.cli.quantization import quantization_report, reproduce_quantization
from edgebci.cli.report import report
from edgebci.cli.reproduce_realm import reproduce_realm
from edgebci.cli.run import run
from edgebci.cli.run_on_target import run_on_target
from edgebci.cli.simulate import simulate
from edgebci.cli.tour import TourGroup, add_command, add_group
from edgebci.cli.train import distill, train
from edgebci.errors import EdgebciError

LONGEST_PATH = 120  # characters of one that are shown
INTERRUPTED_EXIT_CODE = 130  # what typer makes of Ctrl-C

app = typer.Typer(
    name="edgebci",
    cls=TourGroup,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
add_command(app, "doctor", doctor)
add_command(app, "init", init)
add_command(app, "run", run)
data_app.command()(fetch)
add_group(app, "data", data_app)
add_command(app, "train", train)
add_command(app, "distill", distill)
add_command(app, "evaluate", evaluate)
add_command(app, "calibrate", calibrate)
add_command(app, "export", export)
bundle_app.command("rewrite")(rewrite_bundle)
bundle_app.command("time")(time_bundle)
bundle_app.command("hash")(hash_bundle)
add_group(app, "bundle", bundle_app)
add_group(app, "precision", precision_app)
add_command(app, "quantization-report", quantization_report)
add_command(app, "run-on-target", run_on_target)
add_command(app, "cycles", cycles)
add_group(app, "bench", bench_app)
add_group(app, "profiles", profiles_app)
add_command(app, "budget", budget)
add_command(app, "simulate", simulate)
add_group(app, "broadband", broadband_app)
add_command(app, "report", report)
add_group(app, "gate", gate_app)
reproduce_app = typer.Typer(no_args_is_help=True, help="Try what the papers claim.")
reproduce_app.command()(claims)
reproduce_app.command("realm")(reproduce_realm)
reproduce_app.command("quantization")(reproduce_quantization)
add_group(app, "reproduce", reproduce_app)
add_command(app, "proof", proof)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"edgebci {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Version.")] = False,
) -> None:
    """From neural recordings to a decoder that runs on an implant's chip.

    A tour: [bold]edgebci init[/] writes a pipeline for your recording, [bold]edgebci run[/] takes it all the way to an
    emulated chip and a report.html; every other command is one of its steps by itself. Nothing is sent anywhere.
    """


def main() -> None:
    """Run the command line; an expected error is one sentence on stderr and an exit code, never a traceback."""
    try:
        app()
    except EdgebciError as error:
        _fail(str(error), error.exit_code)
    except SystemExit as stop:
        if stop.code != INTERRUPTED_EXIT_CODE:
            raise
        _fail("stopped; finished stages are kept: run the same command again to go on", INTERRUPTED_EXIT_CODE)
    except OSError as error:
        _fail_on_disk(error)
    except ValueError as error:
        _fail_on_options(error)


def _fail_on_options(error: ValueError) -> None:
    """Say which option is wrong where an order, which is what the options say, refuses one; the rest is ours."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError) or not error.title.endswith("Order"):
        raise error
    faults = [f"{'.'.join(map(str, one['loc']))} is {one['input']!r}: {one['msg']}" for one in error.errors()]
    _fail(f"{'; '.join(faults)}; correct the option", 2)


def _fail_on_disk(error: OSError) -> None:
    """Say what the disk refused; any other error of the system is one of ours, and shows where."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        _fail(f"no space left on the disk ({error.filename or 'while writing'}); free some and run again", 2)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        what = f"{error.filename or 'a file'} may not be read or written ({error.strerror})"
        _fail(f"{what}; change its permissions or choose another folder", 2)
    if error.errno in (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR):
        _fail(f"{_cut(str(error.filename))} cannot be used as a path ({error.strerror}); give another", 2)
    raise error


def _cut(path: str) -> str:
    """A path that is too long for the disk is too long for a sentence."""
    return path if len(path) <= LONGEST_PATH else f"{path[:LONGEST_PATH]}..."


def _fail(sentence: str, code: int) -> None:
    from rich.console import Console

    Console(stderr=True, soft_wrap=True).print(f"[bold red]edgebci:[/] {_plain(sentence)}", highlight=False)
    sys.exit(code)


def _plain(sentence: str) -> str:
    """Square brackets of a message are text, not markup."""
    from rich.markup import escape

    return escape(sentence)


if __name__ == "__main__":
    main()
