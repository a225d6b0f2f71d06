"""`lyricrnn corpus`: the collections that ship, sets to download, and what a text holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui import charts, display
from tui.commands import options, output
from tui.commands.output import Column, number

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from engine.corpus.summary import CorpusSummary
    from engine.writing.tunes import Tune

_BAR = 24  # cells of the longest bar
_TUNES = 10  # that people are shown

app = typer.Typer(
    help="Lists collections, downloads sets in the public domain, or shows what a text holds.",
    no_args_is_help=True,
)


@app.command("list")
def list_corpora(as_json: options.Json = False) -> Callable[[], None]:
    """Lists the collections that ship with lyricrnn, and the public-domain sets to fetch."""
    return lambda: _list(as_json=as_json)


@app.command("show")
def show(
    context: typer.Context,
    corpus: options.Corpus,
    encoding: options.Encoding = None,
    clean: options.Clean = False,
    labels: options.Labels = None,
    credits: options.Credits = None,
    trailing_space: options.TrailingSpace = None,
    blank_lines: options.BlankLines = None,
    duplicates: options.Duplicates = None,
    script: options.Script = None,
    as_json: options.Json = False,
) -> Callable[[], None]:
    """Shows what a text holds, what cleaning finds in it, and what a model of it needs."""
    given = dict(context.params)
    return lambda: _show(corpus, given, as_json=as_json)


@app.command("fetch")
def fetch(
    name: Annotated[str, typer.Argument(help="A set of `lyricrnn corpus list`.", metavar="NAME")],
    as_json: options.Json = False,
) -> Callable[[], None]:
    """Downloads a public-domain set, goes on where an earlier try stopped, and verifies it."""
    return lambda: _fetch(name, as_json=as_json)


# -- list -----------------------------------------------------------------------------------


def _list(*, as_json: bool) -> None:
    from engine.corpus import catalogue
    from engine.corpus.corpus import Corpus
    from engine.corpus.library import shipped

    found = [(corpus, Corpus.load(corpus.path)) for corpus in shipped()]
    sets = [(entry, catalogue.fetched(entry.name)) for entry in catalogue.entries()]
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
                ],
                "catalogue": [
                    {**asdict(entry), "bytes": entry.bytes, "path": path} for entry, path in sets
                ],
            }
        )
        return
    output.show(
        output.table(
            (
                Column("shipped", "whole"),
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
        ),
        "",
        output.table(
            (
                Column("to fetch", "whole"),
                Column("", "whole"),
                number("size"),
                Column("", "whole"),
                Column("what it is, and its licence"),
            ),
            (
                (
                    entry.name,
                    entry.language,
                    display.bytes_(entry.bytes),
                    "here" if path else "",
                    f"{entry.description} {entry.licence[0].upper()}{entry.licence[1:]}.",
                )
                for entry, path in sets
            ),
        ),
        "",
        "`lyricrnn corpus fetch NAME` downloads a set; `lyricrnn train NAME` learns from it.",
    )


def _fetch(name: str, *, as_json: bool) -> None:
    from engine.corpus import catalogue

    total = next((entry.bytes for entry in catalogue.entries() if entry.name == name), 1)
    with output.counting(f"fetching {name}", total) as count:
        path = catalogue.fetch(name, progress=lambda done, _: count(done))
    if as_json:
        output.write_json({"name": name, "path": path, "bytes": total})
    else:
        output.write(f"{display.visible(str(path))}\n")
        output.tell(f"`lyricrnn train {name}` learns from it.")


# -- show -----------------------------------------------------------------------------------


def _show(name: str, given: Mapping[str, Any], *, as_json: bool) -> None:
    from engine.config import CorpusConfig
    from engine.corpus.corpus import Corpus
    from engine.corpus.library import resolve
    from engine.corpus.summary import summary
    from engine.training.plan import suggestion
    from engine.writing import tunes

    path = resolve(name)
    corpus = Corpus.load(path, options.corpus_settings(CorpusConfig(), given))
    found = summary(corpus)
    preset, minutes = suggestion(found.characters)
    its_tunes = list(tunes.of_corpus(corpus).values())
    if as_json:
        common = [
            {"character": character, "count": count} for character, count in found.most_common
        ]
        files = [{**asdict(source), "path": str(source.path)} for source in corpus.sources]
        output.write_json(
            {
                "path": path,
                **asdict(found),
                "most_common": common,
                "files": files,
                "suggestion": {"preset": preset, "minutes": minutes},
                "tunes": [asdict(tune) for tune in its_tunes],
            }
        )
        return
    scripts = {"Han": found.han, "Latin": found.latin, "other": found.other}
    sure = "" if found.confidence >= 0.995 else f", {found.confidence:.0%} sure"
    parts: list[RenderableType] = [
        output.figures(
            [
                ("text", str(path)),
                ("files", display.count(len(corpus.sources))),
                ("encoding", found.encoding + sure),
                ("songs", display.count(found.songs)),
                ("copies", _copies(found)),
                ("lines", display.count(found.lines)),
                ("characters", display.count(found.characters)),
                ("vocabulary", f"{display.count(found.vocabulary_size)}, <unk> included"),
                (
                    "script",
                    ", ".join(f"{name} {share:.0%}" for name, share in scripts.items() if share),
                ),
                ("sha256", found.sha256),
                (
                    "to learn it",
                    f"--preset {preset} --minutes {minutes:g} (eight times through the text)",
                ),
            ]
        ),
    ]
    if found.cleaning:
        parts += ["", _cleaning(found)]
    if its_tunes:
        parts += ["", *_patterns(its_tunes)]
    output.show(*parts, "", *_lengths(found), "", most_common(found.most_common, found.characters))


def _copies(found: CorpusSummary) -> str:
    if found.near_copies is None:
        return f"{display.count(found.copies)} (too many songs to look for near-copies)"
    near = display.count(found.near_copies)
    return f"{display.count(found.copies)} of a song as it is, {near} nearly so"


def _cleaning(found: CorpusSummary) -> Table:
    """What cleaning found, and did."""
    from engine.corpus.cleaning import STEPS

    return output.table(
        (Column("found"), number("count"), Column("", "whole"), Column("for example")),
        (
            (
                STEPS[step],
                display.count(count),
                "cleaned" if step in found.changed else "kept",
                display.visible(found.examples.get(step, "")),
            )
            for step, count in found.cleaning.items()
        ),
    )


def _patterns(tunes: Sequence[Tune]) -> list[RenderableType]:
    """The most frequent tunes: the characters of each clause, and the letter of its rhyme."""
    shown = output.table(
        (Column("tune", "whole"), number("songs"), number("share"), Column("of them as")),
        (
            (
                tune.name,
                display.count(tune.songs),
                f"{tune.share:.0%}",
                " / ".join(
                    "，".join(map("{}{}".format, line.clauses, line.letters)) for line in tune.lines
                ),
            )
            for tune in tunes[:_TUNES]
        ),
    )
    more = len(tunes) - _TUNES
    return (
        [shown, f"and {display.count(more)} more tunes (--json has all)"] if more > 0 else [shown]
    )


def _lengths(found: CorpusSummary) -> list[str]:
    """How many lines have how many characters, as a picture."""
    counts = found.line_lengths[1:]
    longest = max(length for length, count in enumerate(counts, start=1) if count)
    more = f" ({len(counts)}: or more)" if longest == len(counts) else ""
    return [
        f"lines by their characters{more}: {found.mean_line_length:.1f} in the mean, "
        f"{display.count(found.longest_line)} at most",
        *charts.histogram(counts[: max(longest, 8)]),
    ]


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
