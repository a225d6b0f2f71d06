"""A small form: named fields in, checked values out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from engine.errors import LyricError
from tui.display import content, visible
from tui.panes.generator import LineInput

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a form; `hint` says what may stand there."""

    name: str
    label: str
    value: str
    hint: str = ""


class Form(ModalScreen[T | None], Generic[T]):
    """Returns what `check` makes of the typed values, or None. What `check` complains of, by a
    `LyricError`, is shown and the form stays."""

    CSS_PATH = "../styles/dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Back", show=False)]

    def __init__(
        self, title: str, fields: Sequence[Field], check: Callable[[dict[str, str]], T]
    ) -> None:
        super().__init__()
        self._title, self._fields, self._check = title, fields, check

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", can_focus=False):
            yield Static(content(self._title), classes="title")
            for field in self._fields:
                with Horizontal(classes="field"):
                    yield Label(content(field.label), classes="label")
                    yield LineInput(field.value, id=field.name)
                    yield Label(content(field.hint), classes="hint")
            yield Static("", id="complaint", markup=False)
            yield Static(content("enter accepts · tab moves · escape goes back"), classes="note")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        values = {
            field.name: self.query_one(f"#{field.name}", Input).value.strip()
            for field in self._fields
        }
        try:
            self.dismiss(self._check(values))
        except LyricError as error:
            complaint = self.query_one("#complaint", Static)
            complaint.update(visible(str(error)))
            self.call_after_refresh(complaint.scroll_visible, animate=False)

    def action_cancel(self) -> None:
        self.dismiss(None)
