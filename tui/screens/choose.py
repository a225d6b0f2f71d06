"""A list to choose from, with a line to type a path in where that makes sense."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tui.display import content
from tui.panes.generator import LineInput


@dataclass(frozen=True, slots=True)
class Choice:
    """`value` comes back when it is chosen; `title` and `note` are what is read."""

    value: str
    title: str
    note: str = ""


class Choose(ModalScreen[str | None]):
    """Returns the chosen value, the typed text, or None."""

    CSS_PATH = "../styles/dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Back", show=False)]

    def __init__(
        self, title: str, choices: Sequence[Choice], *, typed: str = "", empty: str = ""
    ) -> None:
        super().__init__()
        self._title, self._choices, self._typed, self._empty = title, choices, typed, empty

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(content(self._title), classes="title")
            if self._choices:
                yield OptionList(
                    *(
                        Option(
                            Content.assemble(content(choice.title), "\n  ", content(choice.note))
                        )
                        for choice in self._choices
                    ),
                    markup=False,
                )
            else:
                yield Static(content(self._empty), classes="note")
            if self._typed:
                yield LineInput(placeholder=self._typed)
            yield Static(content("enter chooses · tab moves · escape goes back"), classes="note")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._choices[event.option_index].value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.value.strip():
            self.dismiss(event.value.strip())

    def action_cancel(self) -> None:
        self.dismiss(None)
