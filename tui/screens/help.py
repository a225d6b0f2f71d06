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


class Help(ModalScreen[None]):
    """The keys of every screen."""

    CSS_PATH = "../styles/dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,q", "dismiss(None)", "Back", show=False)
    ]

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog help"):
            for chapter in keys.HELP:
                if chapter is not keys.HELP[0]:
                    yield Static("")
                yield Static(Content(chapter.title), classes="title")
                for key, meaning in chapter.rows:
                    with Horizontal(classes="row"):
                        yield Static(Content(key), classes="key")
                        yield Static(Content(meaning), classes="meaning")
            yield Static(Content("escape goes back"), classes="note")
