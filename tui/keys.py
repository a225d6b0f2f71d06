"""The one table of actions and keys: bindings, key bar, help and palette are read from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

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
    Action("song", "s", "s", "song", "Write a song with the network, line by line"),
    Action("metric", "m", "m", "metric", "Show loss, perplexity or bits per character"),
    Action("log_axis", "l", "l", "log", "Switch the chart's logarithmic axis", in_bar=False),
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

LIBRARY: tuple[Action, ...] = (
    Action("clean", "f2", "F2", "cleans", "Clean the text while it is read, or leave it as it is"),
    Action(
        "encoding",
        "f3",
        "F3",
        "encoding",
        "Choose how the bytes of a file are read, each encoding with what the text would be",
    ),
    Action("help", "f1", "F1", "help", "This list"),
    Action("cancel", "escape", "escape", "goes back", "Go back and leave everything as it was"),
)

WRITING: tuple[Action, ...] = (
    Action("go_on", "ctrl+g", "^g", "write on", "Let the network write on from the cursor's line"),
    Action(
        "candidates",
        "ctrl+k",
        "^k",
        "candidates",
        "Eight ways to write the cursor's line; what stands before a cursor inside it stays",
    ),
    Action("next", "ctrl+n", "^n", "next", "Put the next candidate in the line's place"),
    Action("again", "ctrl+r", "^r", "rewrite", "Have the network write the cursor's line anew"),
    Action(
        "all_again",
        "ctrl+e",
        "^e",
        "rewrite all",
        "Have every unlocked line written anew",
    ),
    Action("lock", "ctrl+l", "^l", "lock", "Keep the line as it is, or let it change again"),
    Action("undo", "ctrl+z", "^z", "undo", "Take back the last change, and the ones before it"),
    Action("redo", "ctrl+y", "^y", "redo", "Make the change again", in_bar=False),
    Action("form", "f2", "F2", "form", "Lines, lengths, rhyme, acrostic; or a form's TOML file"),
    Action("rhymes", "f3", "F3", "rhymes", "What rhymes with the line's end in the songbook"),
    Action("history", "f4", "F4", "history", "Every state of the song; enter brings one back"),
    Action("export", "f5", "F5", "export", "Write the song to a file: txt, md, lrc or json"),
    Action(
        "times",
        "ctrl+o",
        "^o",
        "times",
        "Tap when each line is sung, for LRC",
        in_bar=False,
    ),
    Action(
        "fill",
        "ctrl+f",
        "^f",
        "from the rhyme",
        "Show lines as they are read, or as a network taught with --lines-reversed writes them: "
        "from the rhyme back",
        in_bar=False,
    ),
    Action("drafts", "f6", "F6", "songs", "Open another song, or begin a new one"),
    Action("rename", "f9", "F9", "title", "Give the song another title", in_bar=False),
    Action("cooler", "f7", "F7", "cooler", "Lower the temperature by 0.05: safer lines"),
    Action("warmer", "f8", "F8", "warmer", "Raise the temperature by 0.05: bolder lines"),
    Action(
        "line_up",
        "ctrl+up,shift+up",
        "^up",
        "up",
        "Move the line up, also by shift+up",
        in_bar=False,
    ),
    Action(
        "line_down",
        "ctrl+down,shift+down",
        "^down",
        "down",
        "Move the line down (also shift+down)",
        in_bar=False,
    ),
    Action(
        "section",
        "ctrl+t",
        "^t",
        "section",
        "Name the section that begins here; so does its name in brackets, alone on a line",
        in_bar=False,
    ),
    Action("remove", "ctrl+x", "^x", "delete line", "Take the line out", in_bar=False),
    Action(
        "back",
        "escape",
        "esc",
        lambda now: "stop" if now.writing else "studio",
        "End what the network writes; else back to the Studio, where the song waits",
    ),
    Action("help", "f1", "F1", "help", "This list"),
)


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part of the help; `more` are (key, meaning) of what no action of a table is behind."""

    title: str
    actions: tuple[Action, ...]
    more: tuple[tuple[str, str], ...] = ()

    @property
    def rows(self) -> list[tuple[str, str]]:
        """(key, meaning) of all its keys."""
        return [*((action.shown, action.help) for action in self.actions), *self.more]


HELP: tuple[Chapter, ...] = (
    Chapter("Studio", STUDIO),
    Chapter(
        "Library (c in the Studio)",
        LIBRARY,
        (("enter", "Learn from the text; download a set that is not here yet"),),
    ),
    Chapter(
        "Writing (s in the Studio); ^ is the ctrl key",
        WRITING,
        (
            ("6/7 A", "Beside a line: what it counts, of what the form asks, and its rhyme letter"),
            ("styles", "Italic: the network's words. Bold: yours within them. Underlined: copied"),
        ),
    ),
    Chapter(
        "Everywhere",
        (),
        (
            ("tab", "Move between the panes; arrows, page up and page down scroll the focused one"),
            ("ctrl+p", "Find any command by name"),
            ("escape", "Leave a field or a dialog"),
        ),
    ),
)


@runtime_checkable
class Keyed(Protocol):
    """A screen that has a table of its own."""

    @property
    def actions(self) -> tuple[Action, ...]: ...

    @property
    def situation(self) -> Situation: ...


def named(actions: tuple[Action, ...], name: str) -> Action:
    """The action of that name in a table."""
    return next(action for action in actions if action.name == name)


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
