"""The words that several subcommands take, and how a kind of option is declared."""

from __future__ import annotations

from typing import Annotated, Any

import typer


def flag(name: str, text: str, panel: str | None = None) -> Any:
    """An option without a value."""
    return typer.Option(name, help=text, metavar="", rich_help_panel=panel)


def value(text: str, metavar: str = "N", panel: str | None = None) -> Any:
    """An option with a number or a text for a value."""
    return typer.Option(help=text, metavar=metavar, rich_help_panel=panel)


def choice(text: str, values: str, panel: str | None = None, name: str | None = None) -> Any:
    """An option with a few `values`, as "a|b|c". The engine checks them, so that flags, files
    and the API are refused with the same words."""
    names = () if name is None else (name,)
    return typer.Option(
        *names,
        help=text,
        metavar=values,
        autocompletion=lambda: values.split("|"),
        rich_help_panel=panel,
    )


Run = Annotated[str, typer.Argument(help="A run's folder, its name, or `latest`.", metavar="RUN")]
Corpus = Annotated[
    str,
    typer.Argument(
        help="A text file, a folder of them, or a shipped collection.", metavar="CORPUS"
    ),
]
Json = Annotated[bool, flag("--json", "Writes one JSON object to standard output.")]
