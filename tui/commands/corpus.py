"""`lyricrnn corpus`: the collections that ship, and what a text holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from tui import display
from tui.commands import charts, options, output
from tui.commands.output import Column, number

if TYPE_CHECKING:
    from rich.table import Table

_BAR = 24  # cells of the longest bar

app = typer.Typer(
    help="Lists the collections that ship, or shows what a text holds.", no_args_is_help=True
)


@app.command("list")
def list_shipped(as_json: options.Json = False) -> Callable[[], None]:
    """Lists the collections that ship with lyricrnn."""
    return lambda: _list(as_json=as_json)


@app.command("show")
def show(
    corpus: options.Corpus,
    as_json: options.Json = False,
) -> Callable[[], None]:
    """Shows what a text holds: its encoding, songs, lines, and most common characters."""
    return lambda: _show(corpus, as_json=as_json)


def _list(*, as_json: bool) -> None:
    from engine.corpus.corpus import Corpus
    from engine.corpus.library import shipped

    found = [(corpus, Corpus.load(corpus.path)) for corpus in shipped()]
    if as_json:
        output.write_json(
            {
                "corpora": [
                    {
                        **asdict(corpus),
                        "songs": len(loaded.songs),
                        "characters": loaded.characters,
                    }
                    for corpus, loaded in found
                ]
            }
        )
    elif not found:
        output.write("No collection ships with this installation.\n")
    else:
        output.show(
            output.table(
                (
                    Column("name", "whole"),
                    number("songs"),
                    number("characters"),
                    Column("licence", "whole"),
                    Column("what it is"),
                ),
                (
                    (
                        corpus.name,
                        display.count(len(loaded.songs)),
                        display.count(loaded.characters),
                        corpus.licence,
                        corpus.description,
                    )
                    for corpus, loaded in found
                ),
            )
        )


def _show(name: str, *, as_json: bool) -> None:
    from engine.corpus.corpus import Corpus
    from engine.corpus.library import resolve
    from engine.corpus.summary import summary

    path = resolve(name)
    found = summary(Corpus.load(path))
    if as_json:
        common = [
            {"character": character, "count": count} for character, count in found.most_common
        ]
        output.write_json({"path": path, **asdict(found), "most_common": common})
        return
    sure = "" if found.confidence >= 1 else f", {found.confidence:.0%} sure"
    scripts = {"Han": found.han, "Latin": found.latin, "other": found.other}
    output.show(
        output.figures(
            [
                ("text", str(path)),
                ("encoding", found.encoding + sure),
                ("songs", display.count(found.songs)),
                ("lines", display.count(found.lines)),
                (
                    "line length",
                    f"{found.mean_line_length:.1f} characters, at most "
                    f"{display.count(found.longest_line)}",
                ),
                ("characters", display.count(found.characters)),
                ("vocabulary", f"{display.count(found.vocabulary_size)}, <unk> included"),
                (
                    "script",
                    ", ".join(f"{name} {share:.0%}" for name, share in scripts.items() if share),
                ),
                ("sha256", found.sha256),
            ]
        ),
        "",
        most_common(found.most_common, found.characters),
    )


def most_common(counts: Sequence[tuple[str, int]], total: int) -> Table:
    """The most common characters with a bar each, the longest for the most common one."""
    most = max(count for _, count in counts)
    return output.table(
        (Column("character"), number("count"), number("share"), Column("")),
        (
            (
                display.character_name(character),
                display.count(count),
                f"{count / total:.2%}",
                charts.bar(count / most, _BAR),
            )
            for character, count in counts
        ),
    )
