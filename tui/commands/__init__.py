"""The command line: `lyricrnn …`, one file a subcommand.

Exit status: 0 done; 1 a failure; 2 wrong use, or an input that cannot be used; 128+N ended by
signal N, after saving. That includes 141 (SIGPIPE) where standard output is closed early, as
`| head` does. A failure is one sentence on standard error; LYRICRNN_DEBUG=1 shows the traceback.

Nothing here imports torch before a command computes, so that help is there at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from typing import Annotated, cast

import typer

from engine.errors import InputError, LyricError
from tui.commands import corpus, evaluate, generate, inspect, output, runs, train

NAMES = ("train", "generate", "evaluate", "inspect", "corpus", "runs")
"""The subcommands: a file of such a name is reached as ./name."""

_WITH_ENCODING = ("train", "corpus")  # the subcommands that take --encoding
_SIGPIPE = 13  # its number everywhere; the signal module lacks the name on Windows

_app = typer.Typer(
    name="lyricrnn",
    help="Trains character-level recurrent networks on lyrics, and writes with them.",
    epilog="`lyricrnn` alone opens the app. RUN is a run's folder, its name, or `latest`; CORPUS "
    "is a text file, a folder of them, or a collection of `lyricrnn corpus list`.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
_app.command("train")(train.command)
_app.command("generate")(generate.command)
_app.command("evaluate")(evaluate.command)
_app.command("inspect")(inspect.command)
_app.add_typer(corpus.app, name="corpus")
_app.add_typer(runs.app, name="runs")


def _show_version(asked: bool) -> None:
    if not asked:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        output.write(f"lyricrnn {version('lyricrnn')}\n")
    except PackageNotFoundError:
        output.write("lyricrnn, run from its source\n")
    raise typer.Exit


@_app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Shows the version.",
            metavar="",
            callback=_show_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    pass


def run_commands(arguments: list[str]) -> int:
    """Does what the words on the command line say and returns the exit status."""
    output.prepare()
    try:
        status = _run(arguments)
        output.write("")  # What typer wrote may still fail to leave.
    except output.OutputClosed:
        return 128 + _SIGPIPE
    except LyricError as error:
        _show_candidates(error)
        return _fail(error, _sentence(error, arguments), error.exit_status)
    return status


def _run(arguments: list[str]) -> int:
    """Typer only reads the words: a command returns the work to do. Inside typer, a closed pipe
    or a signal would end in statuses of its own."""
    try:
        work = typer.main.get_command(_app).main(
            args=arguments, prog_name="lyricrnn", standalone_mode=False
        )
        return work() or 0 if callable(work) else work or 0
    except (output.OutputClosed, LyricError):
        raise
    except SystemExit:  # typer's help found nobody to read it
        output.abandon_stdout()
        raise output.OutputClosed from None
    except typer.TyperException as error:
        return _refuse_use(error)
    except (KeyboardInterrupt, typer.Abort):
        with contextlib.suppress(OSError):
            print(file=sys.stderr)
        return 128 + signal.SIGINT
    except OSError as error:
        output.abandon_stdout()
        return _fail(error, f"The system refused: {error}.", 1)
    except Exception as error:
        told = f"This should not have happened: {type(error).__name__}: {error}."
        hint = "" if _debugging() else " LYRICRNN_DEBUG=1 shows where."
        return _fail(error, told + hint, 1)


def _sentence(error: LyricError, arguments: list[str]) -> str:
    """What is told of an error: where a flag can help, with that flag."""
    from engine.corpus.decoding import UndecodedError

    if isinstance(error, UndecodedError) and arguments[0] in _WITH_ENCODING:
        return error.advising("with --encoding")
    return str(error)


def _show_candidates(error: LyricError) -> None:
    """What a file of an unsure encoding would read like in each that is likely."""
    from engine.corpus.decoding import EncodingError

    if isinstance(error, EncodingError):
        for candidate in error.candidates:
            output.tell(f"{candidate.encoding}, {candidate.confidence:.0%} sure:", style="bold")
            for line in candidate.preview.splitlines():
                output.tell(f"  {line}")


def _refuse_use(error: typer.TyperException) -> int:
    """What typer says about words that it does not understand, in one sentence."""
    status = getattr(error, "exit_code", InputError.exit_status)
    message = error.format_message().rstrip(".")
    if message:  # without one, help was asked for by giving no words at all, and was shown
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "lyricrnn"
        output.tell(f"{message}: see `{path} --help`.", prefix="lyricrnn: ", style="bold red")
    return cast(int, status)


def _fail(error: Exception, message: str, status: int) -> int:
    if _debugging():
        traceback.print_exception(error)
    output.tell(message, prefix="lyricrnn: ", style="bold red")
    return status


def _debugging() -> bool:
    return bool(os.environ.get("LYRICRNN_DEBUG"))


__all__ = ["NAMES", "run_commands"]
