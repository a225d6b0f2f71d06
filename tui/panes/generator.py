"""The generator: what the network writes, and the field for the prompt below it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import Paste
from textual.message import Message
from textual.widgets import Input

from tui.display import visible
from tui.panes.lyric_stream import LyricStream

MOST_PASTED = 2000  # characters that one paste adds to a line


class LineInput(Input):
    """A line to type in. Its cursor does not blink: an idle screen writes nothing. What is pasted
    is made visible: Textual's own line would write an escape sequence to the terminal as it is."""

    def __init__(self, value: str = "", *, placeholder: str = "", id: str | None = None) -> None:
        super().__init__(value, placeholder=placeholder, id=id, compact=True)
        self.cursor_blink = False

    def _on_paste(self, event: Paste) -> None:
        event.stop()
        event.prevent_default()
        lines = event.text.strip("\r\n").splitlines() or [""]
        self.replace(visible(lines[0][:MOST_PASTED]), *self.selection)


class PromptField(LineInput):
    """A line to type in that gives the keys back with escape."""

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
        yield PromptField(placeholder="prompt: p to type, enter writes", id="prompt")

    @property
    def stream(self) -> LyricStream:
        return self.query_one(LyricStream)

    @property
    def prompt(self) -> str:
        return self.query_one(PromptField).value

    def focus_prompt(self) -> None:
        self.query_one(PromptField).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The keys are the Studio's again: each is a letter, and would land in the prompt."""
        event.stop()
        self.screen.set_focus(None)
        self.post_message(self.Asked())
