"""The generator: what the network writes, and the field for the prompt below it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input

from tui.panes.lyric_stream import LyricStream


class PromptField(Input):
    """A line to type in that gives the keys back with escape. Its cursor does not blink: an idle
    screen writes nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Leave the field", show=False)
    ]

    def action_leave(self) -> None:
        self.screen.set_focus(None)


class Generator(Vertical):
    """Takes texts through `stream`; posts `Asked` when a prompt is entered."""

    DEFAULT_CSS = """
    Generator { height: 1fr; width: 1fr; }
    Generator PromptField {
        height: 1; border: none; padding: 0 1; background: $boost;
        &:focus { border: none; background: $primary 25%; }
    }
    """

    class Asked(Message):
        """Enter was pressed in the prompt's field."""

    def compose(self) -> ComposeResult:
        yield LyricStream(id="stream")
        field = PromptField(
            placeholder="prompt: p to type, enter writes", id="prompt", compact=True
        )
        field.cursor_blink = False
        yield field

    @property
    def stream(self) -> LyricStream:
        return self.query_one(LyricStream)

    @property
    def prompt(self) -> str:
        return self.query_one(PromptField).value

    def focus_prompt(self) -> None:
        self.query_one(PromptField).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Asked())
