"""`lyricrnn evaluate`: how well a run predicts a text, by the protocol of one's choice."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from engine.errors import ConfigError, CorpusError
from tui import display
from tui.commands import options, output
from tui.commands.options import choice, value

if TYPE_CHECKING:
    from engine.corpus.vocabulary import Ids
    from engine.training.run import Run

_STATEFUL, _WINDOWS = "stateful", "windows"
_WINDOW = 256


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
    as_json: options.Json = False,
) -> Callable[[], None]:
    """Measures a run's best weights: loss (nats a character), perplexity, bits a character."""

    def work() -> None:
        chosen, size = _protocol(protocol, window)
        _evaluate(run, corpus, chosen, size, as_json=as_json)

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


def _evaluate(
    name: str, corpus: str | None, protocol: str, window: int | None, *, as_json: bool
) -> None:
    from engine.training import evaluation
    from engine.training.run import Run
    from tui.commands.places import best_network, find_run

    run = Run.open(find_run(name))
    ids, text = _text(run, corpus)
    network, checkpoint = best_network(run)
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
    step = checkpoint.manifest.progress.step
    if as_json:
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


def _text(run: Run, corpus: str | None) -> tuple[Ids, str]:
    """The ids to predict, at least two, and what to call them."""
    from engine.config import CorpusConfig
    from engine.corpus.corpus import Corpus
    from engine.corpus.library import resolve

    if corpus is not None:
        settings = CorpusConfig(newline=run.facts.config.corpus.newline)
        loaded = Corpus.load(resolve(corpus), settings)
        return run.vocabulary.encode(loaded.text), loaded.name
    ids = run.ids("held_out")
    if len(ids) < 2:
        raise CorpusError(f"{run.path} held no text out: name one with --corpus.")
    return ids, f"the held-out text of {run.facts.corpus.name}"
