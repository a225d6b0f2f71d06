"""`lyricrnn evaluate`: how well a run predicts a text, by the protocol of one's choice, and how
what it writes compares with human lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from engine.errors import ConfigError, CorpusError
from tui import display
from tui.commands import options, output
from tui.commands.options import choice, flag, value
from tui.commands.output import Column, number

if TYPE_CHECKING:
    from rich.table import Table

    from engine.corpus.vocabulary import Ids
    from engine.model.stepper import Stepper
    from engine.training.run import Run
    from engine.writing.report import ReportCard

_STATEFUL, _WINDOWS = "stateful", "windows"
_WINDOW = 256
_REPORTED = 10_000  # characters of each column of a report
_TEXTS = 32  # that are written for it, together
_SHORTEST_TEXT = 200  # characters; fewer texts are written for a shorter column


def command(
    run: options.Run,
    corpus: Annotated[
        str | None, value("The text; left out, the run's own held-out text.", "CORPUS")
    ] = None,
    protocol: Annotated[
        str | None,
        choice(
            "Carries the state over the whole text, or starts cold in every window.",
            f"{_STATEFUL}|{_WINDOWS}",
        ),
    ] = None,
    window: Annotated[
        int | None, value(f"Characters of a window ({_WINDOW}); implies windows.", "T")
    ] = None,
    report: Annotated[
        bool,
        flag("--report", "Writes lines too, and measures them beside human and shuffled ones."),
    ] = False,
    seed: Annotated[int | None, value("The same seed makes the same report (0).")] = None,
    as_json: options.Json = False,
) -> Callable[[], None]:
    """Measures a run's best weights: loss (nats a character), perplexity, bits a character.

    With --report, what the network writes is measured as well: variety, rhyme, line lengths, and
    how much of it is copied from the training text.
    """

    def work() -> None:
        chosen, size = _protocol(protocol, window)
        _evaluate(run, corpus, chosen, size, _seed(report, seed), as_json=as_json)

    return work


def _protocol(protocol: str | None, window: int | None) -> tuple[str, int | None]:
    """The protocol and the size of its window, None for stateful."""
    chosen = protocol or (_STATEFUL if window is None else _WINDOWS)
    if chosen not in (_STATEFUL, _WINDOWS):
        raise ConfigError(f"protocol = {chosen!r} is not one of {_STATEFUL!r}, {_WINDOWS!r}.")
    if chosen == _STATEFUL:
        if window is not None:
            raise ConfigError("A window belongs to --protocol windows: leave one of them out.")
        return chosen, None
    if window is not None and window < 1:
        raise ConfigError(f"window = {window} cannot be used: a window has 1 character or more.")
    return chosen, window or _WINDOW


def _seed(report: bool, seed: int | None) -> int | None:
    """The seed of a report, None where none is asked for."""
    from engine.config import GenerationConfig

    if seed is not None and not report:
        raise ConfigError("A seed belongs to --report: leave it out, or ask for a report.")
    return GenerationConfig(seed=seed or 0).seed if report else None


def _evaluate(
    name: str,
    corpus: str | None,
    protocol: str,
    window: int | None,
    report_seed: int | None,
    *,
    as_json: bool,
) -> None:
    from engine.model.stepper import Stepper
    from engine.training import evaluation
    from engine.training.run import Run
    from tui.commands.places import best_network, find_run

    run = Run.open(find_run(name))
    ids, text = _text(run, corpus)
    network, checkpoint = best_network(run)
    stepper = None if report_seed is None else Stepper(network)
    if network.config.bidirectional:
        output.warn(
            "This network is bidirectional: it reads the characters that it predicts, so the "
            "figures say nothing about writing."
        )
    unknown = int((ids == 0).sum())
    if unknown:
        output.warn(
            f"{display.count(unknown)} of {display.count(len(ids))} characters are not in the "
            "run's vocabulary and are read as <unk>."
        )
    pieces = (
        evaluation.stateful(network, ids)
        if window is None
        else evaluation.windows(network, ids, window)
    )
    with output.counting("evaluating", len(ids) - 1) as count:
        for found in pieces:
            count(found.characters)
    card = None
    if stepper is not None and report_seed is not None:
        card = _card(run, stepper, ids, found.bits_per_character, report_seed)
    step = checkpoint.manifest.progress.step
    if as_json:
        told = {} if card is None else {"report": {**asdict(card), "seed": report_seed}}
        output.write_json(
            {
                "run": run.path,
                "step": step,
                "text": text,
                "protocol": protocol,
                "window": window,
                "loss": found.loss,
                "perplexity": found.perplexity,
                "bits_per_character": found.bits_per_character,
                "characters": found.characters,
                "unknown": unknown,
                **told,
            }
        )
        return
    how = "stateful: the state is carried over the whole text"
    if window is not None:
        how = f"windows: each {display.count(window)} characters start cold"
    output.show(
        output.figures(
            [
                ("run", f"{run.path}, step {display.count(step)}"),
                ("text", text),
                ("protocol", how),
                ("characters", display.count(found.characters)),
                ("loss", f"{display.loss(found.loss)} nats a character"),
                ("perplexity", display.loss(found.perplexity)),
                ("bits per character", display.loss(found.bits_per_character)),
            ]
        )
    )
    if card is not None:
        output.show("", _table(card))


def _text(run: Run, corpus: str | None) -> tuple[Ids, str]:
    """The ids to predict, at least two, in the order in which the network reads them, and what to
    call them."""
    from engine.config import CorpusConfig
    from engine.corpus.corpus import Corpus
    from engine.corpus.library import resolve

    if corpus is not None:
        settings = CorpusConfig(newline=run.facts.config.corpus.newline)
        loaded = Corpus.load(resolve(corpus), settings)
        return run.vocabulary.encode(_turned(run, loaded.text)), loaded.name
    ids = run.ids("held_out")
    if len(ids) < 2:
        raise CorpusError(f"{run.path} held no text out: name one with --corpus.")
    return ids, f"the held-out text of {run.facts.corpus.name}"


def _turned(run: Run, text: str) -> str:
    """A text from reading order to that of the run, or back."""
    from engine.corpus.reversal import lines_reversed

    return lines_reversed(text) if run.facts.config.corpus.lines_reversed else text


# -- the report card ------------------------------------------------------------------------


def _card(run: Run, stepper: Stepper, ids: Ids, bits_per_character: float, seed: int) -> ReportCard:
    """Writes as much as an excerpt of the text, and measures both."""
    from engine.config import GenerationConfig
    from engine.writing import report
    from engine.writing.generator import write_together

    decode = run.vocabulary.decode
    human = report.excerpt(_turned(run, decode(ids)), _REPORTED, seed)
    texts = max(1, min(_TEXTS, len(human) // _SHORTEST_TEXT))
    config = GenerationConfig(length=-(-len(human) // texts))
    seeds = [seed * _TEXTS + text for text in range(texts)]
    written = write_together(stepper, run.vocabulary, "", config, seeds)
    return report.report_card(
        _turned(run, decode(run.ids("training"))),
        "\n\n".join(report.whole_lines(_turned(run, text)) for text in written),
        human,
        bits_per_character=bits_per_character,
        seed=seed,
    )


def _table(card: ReportCard) -> Table:
    """The figures of the three columns."""
    columns = (card.written, card.human, card.shuffled)
    rows: list[tuple[str, list[float | None]]] = [
        (f"distinct {card.unit}", [one.distinct_1 for one in columns]),
        (f"distinct pairs of {card.unit}", [one.distinct_2 for one in columns]),
        ("lines like the others (self-BLEU)", [one.self_bleu for one in columns]),
        ("rhymes with the line before", [one.rhyme_before for one in columns]),
        ("rhymes within two lines", [one.rhyme_within_two for one in columns]),
        ("line lengths as in the songs", [one.line_lengths for one in columns]),
        (f"copied, {card.shortest} characters or more", [one.verbatim for one in columns]),
        ("copied, or with one changed", [one.copied for one in columns]),
    ]
    rows += [
        (f"new {card.unit}" if size == 1 else f"new runs of {size}", list(shares))
        for size, shares in enumerate(zip(*(one.novelty for one in columns), strict=True), start=1)
    ]
    return output.table(
        (Column(""), *map(number, ("written", "human", "shuffled"))),
        (
            ("lines", *(display.count(one.lines) for one in columns)),
            ("characters", *(display.count(one.characters) for one in columns)),
            *((name, *map(_percent, shares)) for name, shares in rows),
        ),
    )


def _percent(share: float | None) -> str:
    return display.NO_VALUE if share is None else f"{share:.1%}"
