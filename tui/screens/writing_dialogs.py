"""What the Writing screen asks in dialogs: form, rhymes, history, export, another song."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, get_args

import tomli_w
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from engine.config import GenerationConfig
from engine.errors import DraftError, FormError, LyricError
from engine.writing.draft import Draft, diff
from engine.writing.export import SUFFIXES, Format, export, save
from engine.writing.form import Form as LyricForm
from engine.writing.form import Unit
from engine.writing.journal import DraftSummary, OpenDraft
from engine.writing.rhyme import Rhyming
from tui.display import content
from tui.screens.choose import Choice, Choose
from tui.screens.form import Field, Form

NEW = "a new song"


@lru_cache(16)
def form_of(toml: str) -> LyricForm | None:
    """The form that a draft remembers; None where it has none, or one that is no form."""
    if not toml:
        return None
    try:
        return LyricForm.from_toml(toml)
    except (LyricError, tomllib.TOMLDecodeError):
        return None


def form(now: LyricForm | None, max_copy: int) -> Form[tuple[str, int]]:
    """Asks for a form; gives it as TOML, and how much may be copied in a row."""
    demands = () if now is None else now.lines
    lengths = ["+".join(map(str, demand.length)) for demand in demands]
    letters = "".join(demand.scheme for demand in demands)
    own = "" if now is None else ", ".join(f"{word}={count}" for word, count in now.syllables)
    fields = [
        Field("lines", "lines", str(len(demands) or ""), "how many; all empty: no form"),
        Field("lengths", "lengths", ",".join(lengths) if any(lengths) else "", "7 or 7,5,7,5"),
        Field("rhyme", "rhyme", letters if letters.strip("X") else "", "AABB, X(AA)XA, 一韵到底"),
        Field("acrostic", "acrostic", "".join(d.first[:1] for d in demands), "first characters"),
        Field("unit", "unit", "auto" if now is None else now.unit, " | ".join(get_args(Unit))),
        Field("syllables", "syllables", own, "as you sing them: fire=1, poem=2"),
        Field("max_copy", "max copy", str(max_copy), "characters in a row; 0: any"),
        Field("file", "file", "", "a TOML form instead of all above"),
    ]

    def check(values: dict[str, str]) -> tuple[str, int]:
        copied = GenerationConfig(max_copy=values["max_copy"] or 0).max_copy  # type: ignore[arg-type]
        if values["file"]:
            return _toml(LyricForm.load(Path(values["file"]).expanduser())), copied
        if not any(values[name] for name in ("lines", "lengths", "rhyme", "acrostic")):
            return "", copied
        if values["lines"] and not values["lines"].isdecimal():
            raise FormError(f"{values['lines']} is no number of lines: write one such as 8.")
        made = LyricForm.of(
            lines=int(values["lines"] or 0),
            line_length=values["lengths"],
            rhyme=values["rhyme"],
            acrostic=values["acrostic"],
            unit=values["unit"] or "auto",
            syllables=values["syllables"],
        )
        return _toml(made), copied

    return Form("The form of this song", fields, check)


def _toml(made: LyricForm) -> str:
    return tomli_w.dumps(made.model_dump(mode="json", exclude_defaults=True))


def rhymes(wanted: str, found: Sequence[Rhyming]) -> Choose:
    """What rhymes, to insert."""
    choices = [
        Choice(one.word, one.word, f"{one.count} in the songs · {one.kind}") for one in found
    ]
    empty = "Nothing in the songbook rhymes with it."
    return Choose(f"Rhymes with {wanted[-12:]}", choices, empty=empty)


def drafts(listed: Sequence[DraftSummary]) -> Choose:
    """The songs there are; gives a name of one, or the title of a new one."""
    choices = [
        Choice(
            one.name,
            one.title or one.name,
            one.problem
            or f"{one.lines} lines · {time.strftime('%d %b %H:%M', time.localtime(one.changed))}",
        )
        for one in listed
    ]
    return Choose("Songs", choices, typed="or type the title of a new song", empty="None yet.")


def ask(question: str, value: str) -> Form[str]:
    """Asks for one line of text."""
    return Form(question, [Field("answer", "", value)], lambda values: values["answer"])


def export_form(song: Draft) -> Form[str]:
    """Asks where to write a song to, and writes it there; gives the path."""
    name = song.title or "song"
    fields = [
        Field("path", "file", f"~/{name}.txt", ""),
        Field("format", "format", "", "txt, markdown, lrc, enhanced-lrc, json"),
        Field("replace", "replace", "no", "yes writes over a file that exists"),
    ]

    def check(values: dict[str, str]) -> str:
        if not values["path"]:
            raise DraftError("A song needs a file to be written to: type a path.")
        path = Path(values["path"]).expanduser()
        save(
            export(song, _format(path, values["format"])),
            path,
            overwrite=values["replace"].lower() == "yes",
        )
        return str(path)

    return Form("Write the song to a file", fields, check)


def _format(path: Path, named: str) -> Format:
    """The format that is named, or that of the file's ending."""
    for one, suffix in SUFFIXES.items():
        if named == one or (not named and path.suffix == suffix):
            return one
    raise DraftError(
        f"{named or path.suffix or path.name} is no format of a song: one of {', '.join(SUFFIXES)}."
    )


class History(ModalScreen[int | None]):
    """Every state of a song, and beside the list what would change; returns the chosen one."""

    CSS_PATH = "../styles/writing.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Back", show=False)]

    def __init__(self, draft: OpenDraft) -> None:
        super().__init__()
        self._draft = draft
        self._entries = list(reversed(draft.entries()))

    def compose(self) -> ComposeResult:
        with Vertical(classes="history"):
            yield Static(content("History"), classes="title")
            with Horizontal(id="columns"):
                yield OptionList(
                    *(
                        Option(
                            content(
                                f"{time.strftime('%H:%M:%S', time.localtime(one.time))}  "
                                f"{one.description}"
                                + (" (now)" if one.number == self._draft.number else "")
                            )
                        )
                        for one in self._entries
                    ),
                    markup=False,
                )
                with VerticalScroll(id="difference", can_focus=False):
                    yield Static("", id="changes", markup=False)
            yield Static(content("enter brings the state back · escape goes back"), classes="note")

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        state = self._draft.state(self._entries[event.option_index].number)
        self.query_one("#changes", Static).update(difference(self._draft.draft, state))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._entries[event.option_index].number)


def difference(now: Draft, then: Draft) -> Content:
    """What bringing a state back would change, signs before the lines."""
    changes = diff(now, then)
    parts: list[Content] = [Content.styled("what it would change", "dim"), Content()]
    if changes.title:
        parts.append(content(f"title: {changes.title[1]}"))
    if changes.sections:
        parts.append(content(f"sections: {', '.join(filter(None, changes.sections[1])) or 'one'}"))
    if changes.form:
        parts.append(content("another form" if then.form else "no form"))
    rewritten = [pair for pair in changes.changed if pair[0].text != pair[1].text]
    kept = [new for old, new in changes.changed if old.locked != new.locked]
    gone = [*changes.removed, *(old for old, _ in rewritten)]
    come = [*changes.added, *(new for _, new in rewritten)]
    parts += [content(f"- {line.text}").stylize("dim") for line in gone if line.text]
    parts += [content(f"+ {line.text}") for line in come if line.text]
    parts += [
        content(f"{'locked' if line.locked else 'unlocked'}: {line.text}").stylize("dim")
        for line in kept
    ]
    if changes.moved:
        parts.append(content(f"{len(changes.moved)} lines elsewhere"))
    if len(parts) == 2:
        parts.append(content("nothing: it is as it stands"))
    return Content("\n").join(parts)
