"""The one table of actions and keys: bindings, key bar, help and palette are read from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from textual.binding import Binding


@dataclass(frozen=True, slots=True)
class Situation:
    """What is going on, as far as the keys care."""

    training: bool = False
    paused: bool = False
    resumable: bool = False  # a run lies open that has steps left
    network: bool = False  # there is a network to write with
    writing: bool = False


Label = str | Callable[[Situation], str]


def _always(situation: Situation) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Action:
    """`name` is the action's method, `label` the word in the key bar (none: only in the help)."""

    name: str
    key: str
    shown: str
    label: Label
    help: str
    when: Callable[[Situation], bool] = _always
    in_bar: bool = True

    def label_in(self, situation: Situation) -> str:
        return self.label if isinstance(self.label, str) else self.label(situation)


def _train_label(now: Situation) -> str:
    if now.training:
        return "go on" if now.paused else "pause"
    return "go on" if now.resumable else "train"


STUDIO: tuple[Action, ...] = (
    Action(
        "train",
        "space",
        "space",
        _train_label,
        "Train on the corpus; pause; go on where it paused or where an earlier run stopped",
    ),
    Action(
        "stop",
        "x",
        "x",
        "stop",
        "Stop training: saves a checkpoint, space goes on later",
        when=lambda now: now.training,
    ),
    Action("save", "w", "w", "save", "Save a checkpoint now", when=lambda now: now.training),
    Action(
        "generate",
        "g",
        "g",
        lambda now: "end text" if now.writing else "write",
        "Let the network write from the prompt, also while it trains; again to end the text",
        when=lambda now: now.network,
    ),
    Action("prompt", "p", "p", "prompt", "Type the prompt; enter writes, escape leaves the field"),
    Action(
        "settings",
        "t",
        "t",
        "settings",
        "Temperature, top-k, top-p, seed and length of what is written",
    ),
    Action(
        "new_run",
        "n",
        "n",
        "new run",
        "Begin a new run: preset, cell, size and minutes",
    ),
    Action(
        "corpus",
        "c",
        "c",
        "corpus",
        "Choose what to learn from: a shipped collection, a file or a folder",
    ),
    Action("runs", "o", "o", "runs", "Open an earlier run"),
    Action("metric", "m", "m", "metric", "Show loss, perplexity or bits per character"),
    Action("log_axis", "l", "l", "log", "Switch the chart's logarithmic axis"),
    Action(
        "inspect", "i", "i", "inspect", "Next page of the inspector: vocabulary, tensors, shapes"
    ),
    Action(
        "search",
        "slash",
        "/",
        "find",
        "Find a character in the vocabulary, by itself, its id or U+4E2D",
    ),
    Action(
        "warmer",
        "equals_sign,plus",
        "+",
        "warmer",
        "Raise the temperature by 0.05: bolder text",
        in_bar=False,
    ),
    Action(
        "cooler",
        "minus",
        "-",
        "cooler",
        "Lower the temperature by 0.05: safer text",
        in_bar=False,
    ),
    Action("zoom", "z", "z", "zoom", "Give the focused pane the whole screen, and back"),
    Action("leave", "q,ctrl+q", "q", "quit", "Save and leave"),
    Action("help", "f1", "F1", "help", "This list"),
)


def bindings(actions: tuple[Action, ...]) -> list[Binding]:
    """Textual's bindings for a table; the key bar shows them, so its own footer does not."""
    return [Binding(action.key, action.name, action.help, show=False) for action in actions]


def bar(actions: tuple[Action, ...], situation: Situation) -> list[tuple[str, str]]:
    """(key, word) for what can be done now."""
    return [
        (action.shown, action.label_in(situation))
        for action in actions
        if action.in_bar and action.when(situation)
    ]
