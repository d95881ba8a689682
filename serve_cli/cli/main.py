"""The `lifted` command: register the commands, and turn errors into one line and an exit status."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import time
import warnings
from _thread import start_new_thread
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from gluon_lifted.errors import LiftedError, Terminated
from gluon_lifted.redaction import without_credentials
from serve_cli.cli.commands.bench import bench
from serve_cli.cli.commands.card import card
from serve_cli.cli.commands.demo import demo
from serve_cli.cli.commands.doctor import doctor
from serve_cli.cli.commands.embed import embed
from serve_cli.cli.commands.eval import evaluate
from serve_cli.cli.commands.export import export
from serve_cli.cli.commands.index import index
from serve_cli.cli.commands.inspect import inspect
from serve_cli.cli.commands.load import load
from serve_cli.cli.commands.reference import reference
from serve_cli.cli.commands.report import report
from serve_cli.cli.commands.search import search
from serve_cli.cli.commands.serve import serve
from serve_cli.cli.commands.train import train
from serve_cli.cli.commands.verify import verify
from serve_cli.cli.commands.weights import weights
from serve_cli.cli.console import ResultStream, library_on_console, say
from serve_cli.cli.help_page import Command, print_commands
from serve_cli.cli.usage_errors import sentence, usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM  # the exit statuses that shells report
GRACE_S = 8.0  # after SIGTERM; `docker stop` kills after 10 s
SHOWN_PATH = 100  # characters of a path that is too long
USAGE = 2  # exit status of a command line that cannot be read
STREAMS = ("stdin", "stdout", "stderr")
USAGE_ERROR: Any = typer.BadParameter.__base__  # click's; newer versions of typer have a copy of click


class Commands(TyperGroup):
    """The group of commands. Ctrl-C or SIGTERM ends any of them with one line."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return what follows ``lifted`` in the usage."""
        return ["COMMAND", "[OPTIONS]"]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the page of all commands."""
        print_commands(self, ctx)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the context names. Raise `SystemExit` after Ctrl-C or SIGTERM."""
        try:
            return super().invoke(ctx)
        except Terminated:
            say("\nlifted: stopped by SIGTERM.")
            raise SystemExit(TERMINATED) from None
        except KeyboardInterrupt:
            say("\nlifted: stopped.")
            raise SystemExit(INTERRUPTED) from None


app = typer.Typer(
    cls=Commands,
    name="lifted",
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(requested: bool) -> None:
    if requested:
        from gluon_lifted import __version__

        typer.echo(f"lifted {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def lifted(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("-V", "--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    r"""Train image embeddings, export them to ONNX, embed an image catalog, evaluate and search it.

    Each command has a page with examples, such as `lifted embed --help`.

    [bold]From photographs to a search page[/bold]

      lifted train folder --data photos --out runs/start --iterations 0 \
        --backbone mobilenetv2_1.0 --weights imagenet --resize 128 --crop 112

      lifted export runs/start --onnx model.onnx

      lifted embed model.onnx photos --out embeddings

      lifted index embeddings --out catalog.index

      lifted serve catalog.index
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


COMMANDS: dict[str, tuple[Callable[..., None], ...]] = {  # by title in --help
    "Start": (demo, doctor),
    "Train": (weights, train),
    "Export": (export, card, verify, reference, inspect),
    "Embed and evaluate": (embed, evaluate, report, bench),
    "Search": (index, search, load, serve),
}
for title, commands in COMMANDS.items():
    for command in commands:
        name = "eval" if command is evaluate else command.__name__
        app.command(name, cls=Command, rich_help_panel=title)(command)


def main() -> None:
    """Run the command line. Exit with 0 for success, 1 for an error, 2 for wrong usage, 3 if some rows failed."""
    _open_standard_streams()
    warnings.filterwarnings("ignore", module=r"PIL\.")  # PIL warns about odd but readable files
    if sys.stdout is sys.__stdout__ and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout = ResultStream(sys.stdout)
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")
    try:
        with _terminable(), library_on_console():
            status = app(prog_name="lifted", standalone_mode=False)  # also handles a closed stdout
        sys.exit(status if isinstance(status, int) else 0)
    except USAGE_ERROR as error:
        say(f"lifted: error: {without_credentials(sentence(error))}\n{usage(error)}".rstrip())
        sys.exit(USAGE)
    except LiftedError as error:
        say(f"lifted: error: {' '.join(str(error).split())}")
        sys.exit(1)
    except OSError as error:  # these two are raised by any access to a path, even Path.is_file()
        path = str(error.filename or "")
        if path and isinstance(error, PermissionError):
            say(f"lifted: error: {_denied(path)}")
        elif path and error.errno == errno.ENAMETOOLONG:
            size = f"{len(path):,} characters"
            say(f"lifted: error: {path:.{SHOWN_PATH}}...: the path or a name in it is too long ({size}).")
        else:
            raise
        sys.exit(1)


def _denied(path: str) -> str:
    """Say which right a path lacks: to be written, or to be read."""
    above = os.path.dirname(os.path.abspath(path))
    if os.access(path, os.R_OK) or (os.access(above, os.X_OK) and not os.path.lexists(path)):
        return f"{path}: permission denied to write. Get write access to it or its folder, or choose another path."
    return f"{path}: permission denied to read. Get read access to it, and access to the folders above it."


def _open_standard_streams() -> None:
    """Open closed streams on the null device, so that no other file gets their numbers."""
    for number, name in enumerate(STREAMS):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


@contextmanager
def _terminable() -> Iterator[None]:
    """Make SIGTERM end the command as Ctrl-C does. Python would ignore it as process 1 of a container."""
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(*_: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second SIGTERM ends the process at once
    start_new_thread(_end_late, (GRACE_S,))  # `threading` has locks, which the main thread may hold
    raise Terminated


def _end_late(grace: float) -> None:
    """End the process if the exception does not.

    If a signal raises it after a condition has acquired its lock and before the ``with`` block that releases it, other
    threads wait for that lock forever. No file is damaged: files are renamed into place once they are complete.
    """
    time.sleep(grace)
    os.write(2, f"lifted: ended; its threads did not stop within {grace:g} s of SIGTERM.\n".encode())
    os._exit(TERMINATED)


if __name__ == "__main__":
    main()
