"""`lyricrnn runs`: the runs there are, one from close, several side by side, their figures."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.errors import InputError, LyricError
from tui import charts, display
from tui.commands import options, output
from tui.commands.output import Column, number

if TYPE_CHECKING:
    from engine.training.run import Run

_CHART_WIDTH = 72
_COLUMNS = (
    "step",
    "epoch",
    "loss",
    "perplexity",
    "bits_per_character",
    "gradient_norm",
    "learning_rate",
    "held_out_loss",
)
_MISSING = object()

app = typer.Typer(help="Lists, shows, compares and exports runs.", no_args_is_help=True)


@app.command("list")
def list_runs(as_json: options.Json = False) -> Callable[[], None]:
    """Lists the runs, the newest first."""
    return lambda: _list(as_json=as_json)


@app.command("show")
def show(run: options.Run, as_json: options.Json = False) -> Callable[[], None]:
    """Shows a run's settings, the curve of its held-out loss, and what it wrote last."""
    return lambda: _show(run, as_json=as_json)


@app.command("compare")
def compare(
    runs: Annotated[list[str], typer.Argument(help="Two runs or more.", metavar="RUN")],
    as_json: options.Json = False,
) -> Callable[[], None]:
    """Puts runs side by side: what they reached, and the settings in which they differ."""
    return lambda: _compare(runs, as_json=as_json)


@app.command("export")
def export(
    run: options.Run,
    target: Annotated[
        Path | None,
        typer.Option("--output", help="The file; standard output if left out.", metavar="CSV"),
    ] = None,
) -> Callable[[], None]:
    """Writes a run's curves as CSV, one row a step.

    `perplexity` and `bits_per_character` are of the training loss beside them; `held_out_loss`
    stands in the rows in which it was measured.
    """
    return lambda: _export(run, target)


class _Standing:
    """A run, and how far it came by its newest checkpoint."""

    def __init__(self, run: Run) -> None:
        from engine.training.run import summary_of

        self.run, self.facts, self.summary = run, run.facts, summary_of(run)

    @property
    def figures(self) -> dict[str, Any]:
        """What tables and JSON tell of it."""
        from engine.training.metrics import bits_per_character, perplexity

        found, loss = self.summary, self.summary.best_held_out_loss
        return {
            "name": found.path.name,
            "run": found.path,
            "corpus": found.corpus_name,
            "cell": found.cell,
            "hidden": found.hidden,
            "layers": found.layers,
            "step": found.step,
            "total_steps": found.total_steps,
            "held_out_loss": loss,
            "perplexity": None if loss is None else perplexity(loss),
            "bits_per_character": None if loss is None else bits_per_character(loss),
            "seconds": found.seconds,
            "created": found.created,
        }

    def points(self, figure: str) -> list[tuple[int, float]]:
        """(step, value) of one figure in the log, up to the newest checkpoint: what was logged
        after it is gone when the run goes on. What is no number is nan."""
        return [
            (point["step"], float(value) if isinstance(value, int | float) else math.nan)
            for point in self.run.metrics()
            if isinstance(point.get("step"), int) and point["step"] <= self.summary.step
            for value in [point.get(figure, _MISSING)]
            if value is not _MISSING
        ]

    @property
    def training_loss(self) -> float | None:
        points = self.points("loss")
        return points[-1][1] if points else None

    @property
    def created(self) -> str:
        """When the run was begun: the day and the minute, or of another year the day."""
        try:
            when = datetime.fromisoformat(self.facts.created)
        except ValueError:
            return self.facts.created
        this_year = when.year == datetime.now().year
        return f"{when:%m-%d %H:%M}" if this_year else f"{when:%Y-%m-%d}"

    @property
    def steps(self) -> str:
        return f"{display.count(self.summary.step)}/{display.count(self.summary.total_steps)}"


def _open(name: str) -> _Standing:
    from engine.training.run import Run
    from tui.commands.places import find_run

    return _Standing(Run.open(find_run(name)))


# -- list -----------------------------------------------------------------------------------


def _list(*, as_json: bool) -> None:
    from engine.training.run import Run, all_runs, home

    found = []
    for path in all_runs():
        try:
            found.append(_Standing(Run.open(path)))
        except LyricError as error:
            output.warn(str(error))
    if as_json:
        output.write_json({"runs": [standing.figures for standing in found]})
    elif not found:
        where = display.visible(str(home() / "runs"))
        output.write(f"There is no run in {where} yet: `lyricrnn train CORPUS` makes one.\n")
    else:
        output.show(
            output.table(
                (
                    Column("name", "whole"),
                    Column("corpus", "cut"),
                    Column("cell", "whole"),
                    number("steps"),
                    number("held-out"),
                    Column("begun", "whole"),
                ),
                (
                    (
                        standing.run.path.name,
                        standing.facts.corpus.name,
                        standing.facts.config.model.cell,
                        standing.steps,
                        display.loss(standing.summary.best_held_out_loss),
                        standing.created,
                    )
                    for standing in found
                ),
            )
        )


# -- show -----------------------------------------------------------------------------------


def _show(name: str, *, as_json: bool) -> None:
    standing = _open(name)
    run, facts = standing.run, standing.facts
    curve, loss = standing.points("held_out_loss"), standing.training_loss
    samples = run.samples()
    if as_json:
        output.write_json(
            {
                **standing.figures,
                "loss": loss,
                "config": facts.config.model_dump(mode="json"),
                "plan": facts.plan.model_dump(mode="json"),
                "text": facts.corpus.model_dump(mode="json"),
                "vocabulary": {"size": run.vocabulary.size, "digest": run.vocabulary.digest},
                "held_out": [{"step": step, "loss": value} for step, value in curve],
                "samples": samples,
            }
        )
        return
    told = standing.figures
    best = display.loss(told["held_out_loss"])
    if told["held_out_loss"] is not None:
        best += (
            f", perplexity {display.loss(told['perplexity'])}, "
            f"{display.loss(told['bits_per_character'])} bits a character"
        )
    output.show(
        output.figures(
            [
                ("run", str(run.path)),
                ("begun", facts.created),
                ("text", _text_of(run)),
                ("network", _network_of(run)),
                ("learning", _learning_of(run)),
                ("steps", f"{standing.steps}, in {display.duration(told['seconds'])}"),
                ("training loss", display.loss(loss)),
                ("best held-out loss", best),
            ]
        )
    )
    chart = charts.columns([value for _, value in curve], _CHART_WIDTH)
    if chart:
        begin, end = display.count(curve[0][0]), display.count(curve[-1][0])
        output.show("", f"held-out loss, steps {begin} to {end}", *chart)
    if samples:
        last = samples[-1]
        heading = f"\nwritten at step {last.get('step', display.NO_VALUE)}\n"
        lines = str(last.get("text", "")).strip("\n").split("\n")
        output.write(heading + "".join(f"    {display.visible(line)}\n" for line in lines))


def _text_of(run: Run) -> str:
    corpus = run.facts.corpus
    return (
        f"{corpus.name}: {_many(corpus.songs, 'song')}, "
        f"{_many(corpus.characters, 'character')} "
        f"({display.count(corpus.held_out_characters)} held out), "
        f"vocabulary {display.count(run.vocabulary.size)}"
    )


def _many(number: int, what: str) -> str:
    return f"{display.count(number)} {what}{'' if number == 1 else 's'}"


def _network_of(run: Run) -> str:
    model = run.facts.config.model
    first = f"embedding {model.embedding}" if model.input == "embedding" else "one-hot"
    both_ways = ", bidirectional" if model.bidirectional else ""
    return (
        f"{model.cell} ({model.implementation}), {first}, {_many(model.layers, 'layer')} of "
        f"{model.hidden}{both_ways}, dropout {model.dropout:g}"
    )


def _learning_of(run: Run) -> str:
    config, plan = run.facts.config, run.facts.plan
    return (
        f"{config.optimizer} at {config.learning_rate:g}, {config.schedule}; batches of "
        f"{plan.batch} × {plan.time_steps}, {config.sampling}; {plan.precision}, seed {config.seed}"
    )


# -- compare --------------------------------------------------------------------------------


def _compare(names: Sequence[str], *, as_json: bool) -> None:
    if len(names) < 2:
        raise InputError("Comparing needs two runs or more: `lyricrnn runs list` shows them.")
    standings = [_open(name) for name in names]
    settings = [_flat(standing.facts.config.model_dump(mode="json")) for standing in standings]
    differing = [
        name for name in settings[0] if any(one[name] != settings[0][name] for one in settings)
    ]
    if as_json:
        output.write_json(
            {
                "runs": [
                    {
                        **standing.figures,
                        "loss": standing.training_loss,
                        "config": standing.facts.config.model_dump(mode="json"),
                    }
                    for standing in standings
                ],
                "differing": differing,
            }
        )
        return
    told = [standing.figures for standing in standings]
    rows: list[tuple[str, list[str]]] = [
        ("corpus", [standing.facts.corpus.name for standing in standings]),
        ("cell", [standing.facts.config.model.cell for standing in standings]),
        ("steps done", [standing.steps for standing in standings]),
        ("time", [display.duration(standing.summary.seconds) for standing in standings]),
        ("training loss", [display.loss(standing.training_loss) for standing in standings]),
        ("held-out loss", [display.loss(one["held_out_loss"]) for one in told]),
        ("perplexity", [display.loss(one["perplexity"]) for one in told]),
        ("bits per character", [display.loss(one["bits_per_character"]) for one in told]),
    ]
    rows += [
        (name, [_value(one[name]) for one in settings]) for name in differing if name != "cell"
    ]
    output.show(
        output.table(
            [Column(""), *(Column(standing.run.path.name) for standing in standings)],
            ([name, *values] for name, values in rows),
        )
    )
    texts = {
        (standing.facts.corpus.sha256, one["split"], one["held_out"], one["seed"])
        for standing, one in zip(standings, settings, strict=True)
    }
    if len(texts) > 1:
        output.warn(
            "These runs held different texts out: their held-out losses are not of one measure."
        )


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    """The settings by name, those of the network and of the text among them."""
    inner = {**config.pop("model"), **config.pop("corpus")}
    return {**inner, **config}


def _value(value: object) -> str:
    return display.NO_VALUE if value is None else str(value)


# -- export ---------------------------------------------------------------------------------


def _export(name: str, target: Path | None) -> None:
    rows: dict[int, dict[str, Any]] = {}
    for point in _open(name).run.metrics():
        if not isinstance(point.get("step"), int):
            continue
        if "held_out_loss" in point:  # its perplexity is of the held-out loss: not of this column
            rows.setdefault(point["step"], {})["held_out_loss"] = point["held_out_loss"]
        elif "loss" in point:
            rows.setdefault(point["step"], {}).update(point)
    text = io.StringIO()
    table = csv.DictWriter(text, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    table.writerows({**rows[step], "step": step} for step in sorted(rows))
    if target is None:
        output.write(text.getvalue())
        return
    try:
        target.write_text(text.getvalue(), encoding="utf-8", newline="\n")
    except OSError as error:
        raise InputError(
            f"{target} cannot be written: {error.strerror or error}. Choose another --output."
        ) from None
    output.tell(f"{_many(len(rows), 'row')} written to {target}.")
