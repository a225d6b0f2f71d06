"""The words that several subcommands take, and how a kind of option is declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from engine.config import CorpusConfig


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


_CLEANING = "The text"

Encoding = Annotated[
    str | None,
    value("The files' encoding, where it is known better than guessed.", "NAME", _CLEANING),
]
Clean = Annotated[
    bool,
    flag(
        "--clean",
        "Strips space at line ends, makes blank lines single, and drops copies of songs.",
        _CLEANING,
    ),
]
Labels = Annotated[
    str | None,
    choice("What becomes of [Chorus] and (x2).", "keep|strip|structure", _CLEANING),
]
Credits = Annotated[
    str | None, choice("What becomes of lines that say who wrote it.", "strip|keep", _CLEANING)
]
TrailingSpace = Annotated[
    str | None, choice("What becomes of space at line ends.", "keep|strip", _CLEANING)
]
BlankLines = Annotated[
    str | None, choice("What becomes of several blank lines.", "keep|squeeze", _CLEANING)
]
Duplicates = Annotated[
    str | None, choice("What becomes of copies of songs.", "keep|drop", _CLEANING)
]
Script = Annotated[
    str | None,
    choice("Converts Chinese (extra opencc).", "keep|simplified|traditional", _CLEANING),
]


def corpus_settings(base: CorpusConfig, given: Mapping[str, Any]) -> CorpusConfig:
    """How a text is read: the base with what was given, by the names of the settings."""
    if given.get("clean"):
        base = base.cleaned()
    return base.changed(**{name: given.get(name) for name in type(base).model_fields})


Run = Annotated[str, typer.Argument(help="A run's folder, its name, or `latest`.", metavar="RUN")]
Corpus = Annotated[
    str,
    typer.Argument(
        help="A text file, a folder of them, or a shipped collection.", metavar="CORPUS"
    ),
]
Json = Annotated[bool, flag("--json", "Writes one JSON object to standard output.")]
