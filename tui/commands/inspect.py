"""`lyricrnn inspect`: a vocabulary, every tensor and its shape, and the recurrence in numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.errors import ConfigError, CorpusError, PromptError
from tui import display
from tui.commands import options, output
from tui.commands.corpus import most_common
from tui.commands.output import Column, number

if TYPE_CHECKING:
    from engine.corpus.vocabulary import Vocabulary
    from engine.model.trace import FlowFacts, LayerStep, StepTrace, TensorFacts
    from engine.training.run import Run

_COMMON = 20  # characters that are listed
_NEXT = 5  # likeliest next characters that are told


def command(
    name: Annotated[
        str,
        typer.Argument(
            metavar="RUN|CORPUS",
            help="A run (folder, name, or latest), or a text (file, folder, or shipped).",
        ),
    ],
    text: Annotated[
        str | None, options.value("Walks through this text, one character at a time.", "TEXT")
    ] = None,
    as_json: options.Json = False,
) -> Callable[[], None]:
    """Looks into a run's network, or at the vocabulary of a text.

    B batch, T time, V vocabulary, E embedding, H hidden, L layers, D directions.
    """

    def work() -> None:
        if _is_run(name):
            _inspect_run(name, text, as_json=as_json)
        elif text is not None:
            raise ConfigError(
                f"--text walks through a network, and {name} is a text: name a run instead."
            )
        else:
            _inspect_corpus(name, as_json=as_json)

    return work


def _is_run(name: str) -> bool:
    """Whether this is meant as a run. torch is only imported where nothing else fits the name."""
    from engine.corpus.library import resolve
    from tui.commands.places import LATEST, find_run

    if name == LATEST:
        return True
    try:
        path = resolve(name)
    except CorpusError:
        if (find_run(name) / "run.toml").exists():
            return True
        raise CorpusError(
            f"“{name}” is no run, no file or folder, and no shipped collection: `lyricrnn runs "
            "list` and `lyricrnn corpus list` show what there is."
        ) from None
    return any((path / known).exists() for known in ("run.toml", "vocabulary.json"))


# -- a text ---------------------------------------------------------------------------------


def _inspect_corpus(name: str, *, as_json: bool) -> None:
    from engine.corpus.corpus import Corpus
    from engine.corpus.library import resolve

    corpus = Corpus.load(resolve(name))
    vocabulary = corpus.vocabulary()
    if as_json:
        output.write_json(
            {"corpus": corpus.name, "vocabulary": _facts_of(vocabulary), "tensors": [], "flow": []}
        )
    else:
        _show_vocabulary(vocabulary)


def _facts_of(vocabulary: Vocabulary) -> dict[str, Any]:
    return {"size": vocabulary.size, "digest": vocabulary.digest}


def _show_vocabulary(vocabulary: Vocabulary) -> None:
    total = sum(vocabulary.counts)
    unknown = (
        f", {display.count(vocabulary.counts[0])} of them <unk>" if vocabulary.counts[0] else ""
    )
    common = list(zip(vocabulary.characters, vocabulary.counts, strict=True))[1 : _COMMON + 1]
    output.show(
        output.figures(
            [
                ("vocabulary", f"{display.count(vocabulary.size)} entries, <unk> included"),
                ("digest", vocabulary.digest),
                ("characters", display.count(total) + unknown),
            ]
        ),
        "",
        most_common(common, total),
    )


# -- a run ----------------------------------------------------------------------------------


def _inspect_run(name: str, text: str | None, *, as_json: bool) -> None:
    from engine.model import trace
    from engine.training.run import Run
    from tui.commands.places import best_network, find_run

    run = Run.open(find_run(name))
    known = None if text is None else _known(run, text)
    network, checkpoint = best_network(run)
    plan, reached = run.facts.plan, checkpoint.manifest.progress.step
    tensors = trace.tensors(network)
    flow = trace.flow(network, plan.batch, plan.time_steps)
    steps = None
    if known is not None:
        steps = trace.walk(network, [int(i) for i in run.vocabulary.encode(known)], _NEXT)
    if as_json:
        told: dict[str, Any] = {
            "run": run.path,
            "step": reached,
            "vocabulary": _facts_of(run.vocabulary),
            "tensors": [asdict(tensor) for tensor in tensors],
            "flow": [asdict(step) for step in flow],
        }
        if steps is not None:
            told["steps"] = [_step_in_json(run.vocabulary, step) for step in steps]
        output.write_json(told)
    elif steps is not None:
        for step in steps:
            _show_step(run.vocabulary, step)
    else:
        output.show(output.figures([("run", f"{run.path}, step {display.count(reached)}")]))
        _show_vocabulary(run.vocabulary)
        _show_tensors(tensors)
        _show_flow(flow, trace.sizes(network, plan.batch, plan.time_steps))


def _known(run: Run, text: str) -> str:
    """The text without what the vocabulary lacks, which is named."""
    unknown = run.vocabulary.unknown(text)
    if unknown:
        named = " ".join(map(display.character_name, unknown))
        output.warn(f"The network never saw these characters and skips them: {named}")
    known = "".join(character for character in text if character not in unknown)
    if not known:
        raise PromptError("There is nothing to walk through: give --text with known characters.")
    return known


def _show_tensors(tensors: Sequence[TensorFacts]) -> None:
    from rich.text import Text

    from engine.model.trace import shape_text

    parameters, size = sum(t.parameters for t in tensors), sum(t.bytes for t in tensors)
    output.show(
        "",
        output.table(
            (
                Column("tensor"),
                Column("symbolic", "whole"),
                Column("shape", "whole"),
                number("parameters"),
                number("bytes"),
            ),
            (
                (
                    Text.assemble(tensor.name, (f"\n  {tensor.meaning}", "dim")),
                    tensor.symbolic_shape,
                    shape_text(tensor.shape),
                    display.count(tensor.parameters),
                    display.bytes_(tensor.bytes),
                )
                for tensor in tensors
            ),
        ),
        f"{display.count(parameters)} parameters, {display.bytes_(size)}",
    )


def _show_flow(flow: Sequence[FlowFacts], sizes: Mapping[str, int]) -> None:
    from engine.model.trace import LETTERS, shape_text

    letters = [f"{LETTERS[letter]} {letter} = {size:,}" for letter, size in sizes.items()]
    output.show(
        "",
        f"A batch on its way, with {', '.join(letters)}:",
        output.table(
            (
                Column("tensor", "whole"),
                Column("symbolic", "whole"),
                Column("shape", "whole"),
                Column("by"),
            ),
            (
                (fact.name, fact.symbolic_shape, shape_text(fact.shape), fact.operation)
                for fact in flow
            ),
        ),
    )


# -- one character at a time ------------------------------------------------------------------


def _next_of(vocabulary: Vocabulary, step: StepTrace) -> list[tuple[str, float]]:
    return [(vocabulary.characters[number], probability) for number, probability in step.next]


def _step_in_json(vocabulary: Vocabulary, step: StepTrace) -> dict[str, Any]:
    following = [
        {"character": character, "probability": probability}
        for character, probability in _next_of(vocabulary, step)
    ]
    return {**asdict(step), "character": vocabulary.characters[step.id], "next": following}


def _show_step(vocabulary: Vocabulary, step: StepTrace) -> None:
    name = display.character_name(vocabulary.characters[step.id])
    rows = [row for index, layer in enumerate(step.layers) for row in _layer_rows(index, layer)]
    following = "   ".join(
        f"{display.character_name(character)} {probability:.1%}"
        for character, probability in _next_of(vocabulary, step)
    )
    output.show(
        f"{name}  id {step.id}",
        output.table(
            (
                Column("", "whole"),
                number("mean"),
                number("min"),
                number("max"),
                Column("the first values"),
            ),
            rows,
        ),
        f"next: {following}",
        "",
    )


def _layer_rows(index: int, layer: LayerStep) -> list[tuple[str, ...]]:
    rows = [
        (
            f"layer {index + 1} {gate.name}",
            f"{gate.mean:+.3f}",
            f"{gate.minimum:+.3f}",
            f"{gate.maximum:+.3f}",
            " ".join(f"{value:+.3f}" for value in gate.first) + " …",
        )
        for gate in layer.gates
    ]
    norms = f"‖h‖ {layer.hidden_before:.3f} → {layer.hidden_after:.3f}"
    if layer.cell_before is not None and layer.cell_after is not None:
        norms += f"   ‖c‖ {layer.cell_before:.3f} → {layer.cell_after:.3f}"
    return [*rows, (f"layer {index + 1} state", "", "", "", norms)]
