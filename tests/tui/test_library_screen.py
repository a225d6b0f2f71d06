"""The Library shows what a text holds before it is used, and asks where it is not sure."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from engine.config import CorpusConfig
from engine.corpus import catalogue, library, summary
from engine.corpus.decoding import SAMPLE
from engine.errors import Interrupted, LyricError
from engine.session import Engine
from tui.screens.help import Help
from tui.screens.library import Chosen, Library, dropped

PATIENCE = 60.0  # seconds for what must happen
PLAIN = CorpusConfig()
SONGS = "作词：某人\n春江花月夜 \n春江潮水\n\n\n\n海上明月\n\n海上明月\n"


class Reader:
    """A person at the Library; `chosen` is what came of it."""

    def __init__(self, pilot: Pilot[None], screen: Library, chosen: list[Chosen | None]) -> None:
        self.pilot, self.screen, self.chosen = pilot, screen, chosen

    async def until(self, what: Callable[[], Any]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not what():
            assert time.monotonic() < deadline, self.report
            await self.pilot.pause(0.01)

    async def type_path(self, path: Path) -> None:
        self.screen.query_one("#path").focus()
        await self.pilot.pause()
        field = self.screen.query_one("#path")
        field.value = str(path)  # type: ignore[attr-defined]
        await self.pilot.pause()

    @property
    def report(self) -> str:
        return str(self.screen.query_one("#report", Static).content)

    async def take_encoding(self, name: str) -> None:
        """Goes to an encoding of the list and takes it."""
        await self.until(lambda: self.encodings.display)
        named = [str(option.prompt).split()[0] for option in self.encodings.options]
        self.encodings.highlighted = named.index(name)
        await self.pilot.press("enter")

    @property
    def encodings(self) -> OptionList:
        return self.screen.query_one("#encodings", OptionList)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LYRICRNN_HOME", str(tmp_path))
    return tmp_path


@asynccontextmanager
async def opened(
    asked: str = "", size: tuple[int, int] = (120, 40), config: CorpusConfig = PLAIN
) -> AsyncIterator[Reader]:
    chosen: list[Chosen | None] = []
    async with Engine() as engine:
        app: App[None] = App()
        async with app.run_test(size=size) as pilot:
            screen = Library(engine, config, asked)
            app.push_screen(screen, chosen.append)
            await pilot.pause()
            yield Reader(pilot, screen, chosen)


async def test_the_first_book_is_shown_and_enter_takes_it(home: Path) -> None:
    async with opened() as reader:
        await reader.until(lambda: "songs       " in reader.report)
        assert "lines by their characters" in reader.report
        assert "preset auto" in reader.report
        await reader.pilot.press("enter")
        await reader.until(lambda: reader.chosen)
    assert reader.chosen == [Chosen(str(library.shipped()[0].path), CorpusConfig())]


async def test_a_typed_path_is_looked_into_cleaned_and_taken(home: Path) -> None:
    path = home / "songs.txt"
    path.write_text(SONGS, encoding="gb18030", newline="\r\n")
    async with opened() as reader:
        await reader.type_path(path)
        await reader.until(lambda: "gb18030" in reader.report)
        assert "9 line ends of other systems: cleaned\n1 lines with space" in reader.report
        assert "1 credit lines: cleaned" in reader.report
        assert "1 lines with space at their end: kept" in reader.report
        assert "1 songs are copies or nearly so of another" in reader.report
        await reader.pilot.press("f2")
        await reader.until(lambda: "at their end: cleaned" in reader.report)
        assert "2 blank lines too many: cleaned" in reader.report
        assert "1 copies of a song: cleaned" in reader.report
        await reader.pilot.press("enter")
        await reader.until(lambda: reader.chosen)
    assert reader.chosen == [Chosen(str(path), CorpusConfig().cleaned())]


@pytest.mark.parametrize("written", ["{}", "'{}'", '"{}" ', "{escaped}", "file://{quoted}"])
def test_a_path_may_be_dropped_in_any_way(tmp_path: Path, written: str) -> None:
    path = tmp_path / "my songs 春.txt"
    path.write_text("la")
    text = written.format(path, escaped=str(path).replace(" ", "\\ "), quoted=quote(str(path)))
    assert dropped(text) == str(path)


@pytest.mark.parametrize("text", ["", "no such.txt", "'open", "a b c", "https://a/b"])
def test_what_is_no_path_is_left_as_it_is(text: str) -> None:
    assert dropped(text) == text


async def test_a_doubtful_encoding_is_chosen_by_its_preview(home: Path) -> None:
    path = home / "short.txt"
    path.write_bytes("春夜\n".encode("gb18030"))
    async with opened(str(path)) as reader:
        await reader.until(lambda: reader.encodings.display)
        preview = reader.screen.query_one("#preview", Static)
        await reader.until(lambda: "春夜" in str(preview.content))
        await reader.pilot.press("down")
        await reader.until(lambda: "春夜" not in str(preview.content))
        await reader.pilot.press("up", "enter")
        await reader.until(lambda: "characters  3" in reader.report)
        await reader.pilot.press("enter")
        await reader.until(lambda: reader.chosen)
    assert reader.chosen == [Chosen(str(path), CorpusConfig(encoding="gb18030"))]


async def test_another_encoding_is_taken_than_the_one_that_was_recognised(home: Path) -> None:
    path = home / "songs.txt"
    path.write_text("dépêche\nla la\n", encoding="utf-8")
    async with opened(str(path)) as reader:
        await reader.until(lambda: "encoding    utf-8" in reader.report)
        await reader.pilot.press("f3")
        preview = reader.screen.query_one("#preview", Static)
        await reader.until(lambda: "dépêche" in str(preview.content))
        assert str(reader.encodings.options[0].prompt) == "utf-8  100%"
        await reader.pilot.press("down")
        await reader.until(lambda: "dépêche" not in str(preview.content))
        await reader.take_encoding("gb18030")
        await reader.until(lambda: "encoding    gb18030" in reader.report)
        await reader.pilot.press("f3")
        await reader.take_encoding("windows-1252")
        await reader.until(lambda: "encoding    windows-1252" in reader.report)
        await reader.pilot.press("enter")
        await reader.until(lambda: reader.chosen)
    assert reader.chosen == [Chosen(str(path), CorpusConfig(encoding="windows-1252"))]


async def test_a_choice_of_encoding_can_be_left(home: Path) -> None:
    path = home / "songs.txt"
    path.write_text(SONGS, encoding="utf-8")
    async with opened(str(path)) as reader:
        await reader.until(lambda: "encoding    utf-8" in reader.report)
        known = reader.report
        await reader.pilot.press("f3")
        await reader.until(lambda: reader.encodings.display)
        await reader.pilot.press("escape")
        await reader.until(lambda: reader.report == known)
        assert not reader.encodings.display
        await reader.pilot.press("f3")
        await reader.until(lambda: reader.encodings.display)
        await reader.pilot.press("f2")
        await reader.until(lambda: "at their end: cleaned" in reader.report)
        assert reader.screen.focused is reader.screen.query_one("#path")
        await reader.pilot.press("enter")
        await reader.until(lambda: reader.chosen)
    assert reader.chosen == [Chosen(str(path), CorpusConfig().cleaned())]


async def test_a_choice_that_does_not_decode_is_told_and_loses_nothing(home: Path) -> None:
    path = home / "songs.txt"
    # Its beginning is text in windows-1252 too, the Ё far behind it is not.
    path.write_text("é la la\n" * SAMPLE + "Ё\n", encoding="utf-8")
    async with opened(str(path)) as reader:
        await reader.until(lambda: "encoding    utf-8" in reader.report)
        known = reader.report
        await reader.pilot.press("f3")
        await reader.take_encoding("windows-1252")
        await reader.until(lambda: "is not WINDOWS-1252: byte" in reader.report)
        assert reader.screen.query_one("#report").has_class("bad")
        assert reader.encodings.display  # to choose again
        await reader.pilot.press("escape")
        await reader.until(lambda: reader.report == known)
        await reader.pilot.press("enter")
        await reader.until(lambda: reader.chosen)
    assert reader.chosen == [Chosen(str(path), CorpusConfig())]


async def test_a_doubtful_file_is_asked_about_again_where_a_choice_does_not_decode(
    home: Path,
) -> None:
    path = home / "short.txt"
    path.write_bytes("春夜\n".encode("gb18030") + b"la\n" * SAMPLE + b"\xb4\xba\n\x80\n")
    async with opened(str(path)) as reader:
        await reader.take_encoding("gb18030")
        await reader.until(lambda: "is not GB18030: byte" in reader.report)
        await reader.take_encoding("windows-1252")
        await reader.until(lambda: "encoding    windows-1252" in reader.report)


async def test_a_file_that_is_not_what_it_seemed_can_be_read_otherwise(home: Path) -> None:
    path = home / "songs.txt"
    path.write_bytes("éééééééé la\n".encode() + b"caf\xe9\n")
    async with opened(str(path)) as reader:
        await reader.until(lambda: "is not UTF-8" in reader.report)
        assert "name the encoding that it is in with F3, or save it as UTF-8." in reader.report
        await reader.pilot.press("f3")
        await reader.take_encoding("windows-1252")
        await reader.until(lambda: "encoding    windows-1252" in reader.report)


async def test_the_help_comes_over_the_library_and_leaves_it_as_it_was(home: Path) -> None:
    path = home / "songs.txt"
    path.write_text(SONGS, encoding="utf-8")
    async with opened(str(path)) as reader:
        await reader.until(lambda: "songs       " in reader.report)
        known = reader.report
        await reader.pilot.press("f1")
        await reader.until(lambda: isinstance(reader.pilot.app.screen, Help))
        await reader.pilot.press("escape")
        await reader.until(lambda: reader.pilot.app.screen is reader.screen)
        assert (reader.report, reader.chosen) == (known, [])


async def test_an_encoding_is_of_the_text_that_it_was_chosen_for(home: Path) -> None:
    path = home / "songs.txt"
    path.write_text(SONGS, encoding="gb18030")
    async with opened(str(path), config=CorpusConfig(encoding="big5")) as reader:
        await reader.until(lambda: "encoding    gb18030" in reader.report)


async def test_what_cannot_be_read_is_told_and_nothing_is_chosen(home: Path) -> None:
    (home / "x\x1b[2J.txt").write_bytes(b"\0\1\2" * 99)
    async with opened(size=(40, 12)) as reader:
        for name in ("x\x1b[2J.txt", "none"):
            await reader.type_path(home / name)
            await reader.pilot.press("enter")
            await reader.until(lambda: reader.screen.query_one("#report").has_class("bad"))
            assert reader.report.endswith(".")
            assert "--encoding" not in reader.report
            await reader.pilot.press("f3")
            await reader.screen.workers.wait_for_complete()
            assert reader.report.endswith(".")
            assert not reader.encodings.display
            assert "\x1b" not in reader.report
        await reader.pilot.press("escape")
        await reader.until(lambda: reader.chosen)
    assert reader.chosen == [None]


@pytest.mark.parametrize("key", ["escape", "end"])  # the last of the books is one to fetch
async def test_a_survey_ends_where_its_text_is_left(
    home: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    began, ended = threading.Event(), threading.Event()

    def survey(name: str, config: CorpusConfig, stopped: Callable[[], bool]) -> None:
        began.set()
        while not stopped():
            time.sleep(0.001)
        ended.set()
        raise Interrupted("It was given up.")

    monkeypatch.setattr(summary, "survey", survey)
    async with opened() as reader:
        await reader.until(began.is_set)
        await reader.pilot.press(key)
        await reader.until(ended.is_set)


async def test_a_set_is_fetched_and_then_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = home / "shijing.txt"

    def fetch(name: str, progress: Callable[[int, int], None]) -> Path:
        progress(1, 2)
        if not there.exists():
            there.write_text("la\n\nlu\n")
            raise LyricError("There is no network.")
        return there

    monkeypatch.setattr(catalogue, "fetch", fetch)
    monkeypatch.setattr(catalogue, "fetched", lambda name: None)
    async with opened() as reader:
        books = reader.screen.query_one("#books", OptionList)
        names = [book.value for book in reader.screen._books]
        books.highlighted = names.index("shijing")
        await reader.until(lambda: "enter downloads it" in reader.report)
        await reader.pilot.press("enter")
        await reader.until(lambda: "no network" in reader.report)
        monkeypatch.setattr(catalogue, "fetched", lambda name: there if name == "shijing" else None)
        await reader.pilot.press("enter")
        await reader.until(lambda: "songs       2" in reader.report)
        await reader.pilot.press("enter")
        await reader.until(lambda: reader.chosen)
    assert reader.chosen == [Chosen(str(there), CorpusConfig())]
