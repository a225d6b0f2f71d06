"""What the keys do, read from their table."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui import keys

MORE = (
    ("tab", "Move between the panes; arrows, page up and page down scroll the focused one"),
    ("ctrl+p", "Find any command by name"),
    ("escape", "Leave a field or a dialog"),
)


class Help(ModalScreen[None]):
    """The list of keys."""

    CSS_PATH = "../styles/dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,q", "dismiss(None)", "Back", show=False)
    ]

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog help"):
            yield Static(Content("The keys of the Studio"), classes="title")
            rows = [(action.shown, action.help) for action in keys.STUDIO]
            for key, meaning in [*rows, *MORE]:
                with Horizontal(classes="row"):
                    yield Static(Content(key), classes="key")
                    yield Static(Content(meaning), classes="meaning")
            yield Static(Content("escape goes back"), classes="note")
