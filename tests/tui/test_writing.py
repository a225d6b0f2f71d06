"""The Writing screen, driven by key as a lyricist would, on a real engine and a tiny network."""

from __future__ import annotations

import asyncio
import inspect
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.events import Paste
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from engine.errors import DraftError
from engine.session import Engine
from engine.writing.draft import Draft, Edited, Model, Person
from engine.writing.export import export
from engine.writing.journal import Drafts
from tui import keys
from tui.app import LyricApp
from tui.panes.candidate_list import CandidateList
from tui.panes.live_line import LiveLine
from tui.panes.live_page import LivePage
from tui.panes.lyric_sheet import LyricSheet
from tui.screens.choose import Choose
from tui.screens.form import Form
from tui.screens.studio import Studio
from tui.screens.timing import Timing
from tui.screens.writing import Writing
from tui.screens.writing_dialogs import History

PATIENCE = 30.0  # seconds for what must happen; only a broken test waits so long
SONGS = "\n\n".join(
    f"春江花月{word}\n{word}上海潮平初月\n明月共{word}生\n江上{word}初晴"
    for word in "夜水山云风雨雪花鸟鱼"
)


class Hands:
    """A person at the screen: presses, waits and looks."""

    def __init__(self, pilot: Pilot[None], app: LyricApp) -> None:
        self.pilot, self.app = pilot, app
        self.screen: Writing

    async def press(self, *pressed: str) -> None:
        for key in pressed:
            await self.pilot.press(key)
            await self.pilot.pause(0)

    async def type(self, text: str) -> None:
        await self.press(*("enter" if character == "\n" else character for character in text))

    async def until(self, what: Callable[[], Any], why: str = "") -> None:
        deadline = time.monotonic() + PATIENCE
        while not what():
            assert time.monotonic() < deadline, f"{why}; told {self.told}; {self.lines}"
            await self.pilot.pause(0.01)

    async def dialog(self, kind: type[Any]) -> Any:
        await self.until(lambda: isinstance(self.app.screen, kind) and self.app.focused, str(kind))
        return self.app.screen

    async def quiet(self) -> None:
        """Waits until the network has ended what it was asked for."""
        await self.until(lambda: self.screen._writing is None, "the end of writing")
        await self.pilot.pause(0)

    @property
    def song(self) -> Draft:
        assert self.screen._desk is not None
        return self.screen._desk.song

    @property
    def lines(self) -> list[str]:
        return [line.text for line in self.song.lines]

    @property
    def written(self) -> list[str]:
        return [line for line in self.lines if line]

    @property
    def rows(self) -> list[str]:
        """What the sheet shows, from its gutter on."""
        return [row.strip() for row in self.screen.query_one(LyricSheet).rows]

    @property
    def told(self) -> list[str]:
        return [notification.message for notification in self.app._notifications]

    @property
    def where(self) -> str:
        return self.screen.query_one("#where", LiveLine).text

    @property
    def on_disk(self) -> list[str]:
        """The lines as another process would find them now."""
        drafts = Drafts()
        with drafts.open(drafts.listed()[0].name) as found:
            assert found.read_only
            return [line.text for line in found.draft.lines]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LYRICRNN_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")
    monkeypatch.delenv("NO_COLOR", raising=False)

    async def at_once(*_: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr("textual.app.wait_for_idle", at_once)
    monkeypatch.setattr("textual.pilot.wait_for_idle", at_once)
    monkeypatch.setattr("tui.screens.writing.CHARACTERS_PER_SECOND", 5000)
    return tmp_path


def taught(path: Path, **settings: Any) -> Path:
    """A run of a network that has read a few lines."""
    import torch

    from engine.config import CorpusConfig, ModelConfig, TrainingConfig
    from engine.corpus.corpus import Corpus
    from engine.training import prepare
    from engine.training.loop import TrainingLoop

    config = TrainingConfig(
        model=ModelConfig(hidden=16, embedding=8),
        corpus=CorpusConfig(held_out=0.1, **settings),
        batch=4,
        time_steps=8,
        steps=60,
        threads=1,
        precision="fp32",
        device="cpu",
    )
    corpus = Corpus.from_text(SONGS, config=config.corpus)
    run, _ = prepare.new_run(path, corpus, config, "")
    loop = TrainingLoop(run, prepare.trainer_for(run, torch.device("cpu")))
    loop.restore()
    while not loop.state.ended:
        loop.advance()
    loop.close()
    return path


@pytest.fixture(scope="module")
def made_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return taught(tmp_path_factory.mktemp("made") / "run")


@pytest.fixture
def run(home: Path, made_run: Path) -> Path:
    return Path(shutil.copytree(made_run, home / "runs" / "songs-1"))


@asynccontextmanager
async def opened(size: tuple[int, int] = (120, 40)) -> AsyncIterator[Hands]:
    async with Engine() as engine:
        app = LyricApp(engine)
        async with app.run_test(size=size) as pilot:
            hands = Hands(pilot, app)
            studio = next(screen for screen in app.screen_stack if isinstance(screen, Studio))
            await pilot.pause(0)
            while studio._doing:
                await pilot.pause(0.01)
            await pilot.press("s")
            await hands.until(lambda: isinstance(app.screen, Writing))
            assert isinstance(app.screen, Writing)
            hands.screen = app.screen
            await hands.until(lambda: hands.screen._desk is not None and hands.screen._sounds)
            yield hands
            await studio.leave()


def test_every_key_has_a_method_and_stands_once() -> None:
    pressed = [key for action in keys.WRITING for key in action.key.split(",")]
    assert len(set(pressed)) == len(pressed)
    assert not {"ctrl+p", "ctrl+q", "ctrl+c", "tab", "ctrl+i", "ctrl+m", "ctrl+h"} & set(pressed)
    for action in keys.WRITING:
        method = getattr(Writing, f"action_{action.name}")
        assert not inspect.iscoroutinefunction(method)  # or keys would wait for the engine
        assert action.help


# Writing by oneself


async def test_what_is_typed_is_on_the_disk_and_counted(home: Path) -> None:
    async with opened() as hands:
        await hands.type("春江花月夜\n海上")
        assert hands.on_disk == ["春江花月夜", "海上"]
        assert hands.rows[:2] == ["5      春江花月夜", "2      海上"]
        assert "saved" in hands.where
        await hands.press("home", "backspace")
        assert hands.on_disk == ["春江花月夜海上"]
        await hands.press("enter", "up", "end", "backspace")
        assert hands.on_disk == ["春江花月", "海上"]


async def test_lines_that_rhyme_share_a_letter_and_blank_ones_have_nothing(home: Path) -> None:
    async with opened() as hands:
        await hands.type("山上花\n\n水中沙\n天上云")
        assert hands.rows[:4] == ["3 A    山上花", "", "3 A    水中沙", "3      天上云"]


async def test_undo_and_redo_go_word_by_word_to_the_beginning(home: Path) -> None:
    async with opened() as hands:
        await hands.type("la lu\nli")
        for expected in (["la lu", ""], ["la lu"], ["la "], [""]):
            await hands.press("ctrl+z")
            assert hands.lines == expected
        await hands.press("ctrl+z")
        assert hands.told == ["There is nothing to undo."]
        await hands.press("ctrl+y", "ctrl+y", "ctrl+y", "ctrl+y")
        assert hands.lines == ["la lu", "li"]


async def test_many_lines_are_pasted_and_undone_at_once(home: Path) -> None:
    async with opened() as hands:
        await hands.type("ac")
        await hands.press("left")
        hands.app.post_message(Paste("1\r\n2\x1b[2J\n\n3"))
        await hands.until(lambda: len(hands.lines) == 4)
        assert hands.lines == ["a1", "2\x1b[2J", "", "3c"]
        assert "2␛[2J" in hands.rows[1]
        await hands.press("x")
        assert hands.lines[-1] == "3xc"
        await hands.press("ctrl+z", "ctrl+z")
        assert hands.lines == ["ac"]


async def test_a_name_in_brackets_begins_a_section(home: Path) -> None:
    async with opened() as hands:
        await hands.type("la\n[Chorus]\nlu")
        assert [section.name for section in hands.song.sections] == ["", "Chorus"]
        assert hands.lines == ["la", "lu"]
        assert hands.rows[:4] == ["1      la", "", "Chorus", "1      lu"]
        await hands.press("home", "backspace")
        assert [section.name for section in hands.song.sections] == [""]
        await hands.press("ctrl+z", "ctrl+up")
        assert hands.lines == ["la", "lu"]
        assert len(hands.song.sections) == 1  # the section went with its last line


async def test_a_locked_line_stays_and_says_why(home: Path) -> None:
    async with opened() as hands:
        await hands.type("la")
        await hands.press("ctrl+l", "x")
        assert hands.lines == ["la"]
        assert hands.told == ["Line 1 is locked: unlock it to change it."]
        assert hands.rows[0] == "1    ▪ la"
        assert "locked" in hands.where
        await hands.press("ctrl+l", "x")
        assert hands.lines == ["lax"]


async def test_the_song_waits_as_it_was_left(home: Path) -> None:
    async with opened() as hands:
        await hands.type("la\nlu")
        await hands.press("left", "escape")
        await hands.until(lambda: isinstance(hands.app.screen, Studio))
        await hands.press("s")
        await hands.until(lambda: hands.app.screen is hands.screen)
        await hands.press("i")
        assert hands.lines == ["la", "liu"]
        await hands.press("escape", "escape", "s", "ctrl+z")
        assert hands.lines == ["la", "lu"]
    async with opened() as hands:
        assert hands.lines == ["la", "lu"]
        await hands.press("ctrl+y")
        assert hands.lines == ["la", "liu"]


async def test_without_a_network_its_keys_say_what_to_do(home: Path) -> None:
    async with opened() as hands:
        await hands.type("la")
        for key in ("ctrl+g", "ctrl+k", "ctrl+n", "ctrl+r", "ctrl+e", "f3"):
            hands.app.clear_notifications()
            await hands.press(key)
            await hands.until(lambda: hands.told, key)
            assert hands.told == ["There is no network yet: train one, or open a run."]
        assert hands.lines == ["la"]


# With the network


async def test_it_writes_on_in_form_and_one_undo_takes_it_back(run: Path) -> None:
    async with opened() as hands:
        await hands.press("f2")
        form = await hands.dialog(Form)
        for name, value in (("lines", "4"), ("lengths", "5,4"), ("rhyme", "AXAX")):
            form.query_one(f"#{name}", Input).value = value
        await hands.press("enter")
        await hands.until(lambda: "form: 0 of 4" in hands.where)
        await hands.type("春江\n")
        assert hands.rows[0] == "2/5 A    春江"
        await hands.press("up", "end", "ctrl+g")
        await hands.until(lambda: len(hands.written) == 4)
        await hands.quiet()
        assert [len([c for c in line if c.isalnum()]) for line in hands.written] == [5, 4, 5, 4]
        assert hands.written[0].startswith("春江")
        gutters = [row.split()[:2] for row in hands.rows if row]
        assert [gutter[0] for gutter in gutters] == ["5", "4", "5", "4"]
        assert gutters[0][1] == gutters[2][1] == "A"
        await hands.until(lambda: hands.on_disk == hands.lines)  # a stream is gathered for a moment
        person, model = hands.song.lines[0].spans
        assert (person.text, person.author) == ("春江", Person())
        assert isinstance(model.author, Model)
        assert model.author.run == str(run)
        assert model.author.step > 0
        assert len(model.author.weights) == 64
        assert model.author.settings["temperature"] == 0.8
        assert "the network gave it" in hands.screen.query_one("#why", LivePage).text
        await hands.press("ctrl+z")
        assert hands.written == ["春江"]
        await hands.press("ctrl+g")
        await hands.quiet()
        await hands.press("ctrl+g")
        await hands.until(lambda: hands.told)
        assert "All lines of the form are written" in hands.told[0]


async def test_escape_ends_the_writing_and_keeps_what_is_there(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.screens.writing.CHARACTERS_PER_SECOND", 20)
    async with opened() as hands:
        await hands.press("ctrl+g")
        await hands.until(lambda: hands.written, "a first character")
        assert "writing" in hands.where
        await hands.press("escape")
        kept = hands.lines
        for _ in range(20):
            await hands.pilot.pause(0.01)
        assert hands.lines == kept
        await hands.until(lambda: hands.on_disk == kept)
        assert hands.app.screen is hands.screen
        assert "writing" not in hands.where


async def test_a_candidate_is_written_when_it_is_chosen_and_not_before(run: Path) -> None:
    async with opened() as hands:
        await hands.type("海上明月")
        await hands.press("ctrl+k")
        await hands.until(lambda: hands.screen.has_class("choosing"))
        pane = hands.screen.query_one(CandidateList)
        assert len(pane._offers) >= 2
        assert all("copied" in offer.note for offer in pane._offers)
        assert hands.on_disk == ["海上明月"]
        second, third = pane._offers[1].text, pane._offers[2].text
        await hands.press("down", "enter")
        await hands.until(lambda: hands.lines != ["海上明月"])
        assert hands.on_disk == [second]
        await hands.press("ctrl+n")
        assert hands.on_disk == [third]
        await hands.press("ctrl+z", "ctrl+z")
        assert hands.on_disk == ["海上明月"]
        await hands.press("ctrl+k")
        await hands.until(lambda: hands.screen.has_class("choosing"))
        assert second not in [offer.text for offer in pane._offers]  # others than before
        await hands.press("escape", "end", "x")
        assert hands.on_disk == ["海上明月x"]


async def test_a_change_in_the_networks_words_is_told_from_them(run: Path) -> None:
    async with opened() as hands:
        await hands.press("ctrl+k")
        await hands.until(lambda: hands.screen.has_class("choosing"))
        offers = hands.screen.query_one(CandidateList)._offers
        longest = max(range(len(offers)), key=lambda place: len(offers[place].text))
        await hands.press(str(longest + 1), "left", "x")
        await hands.until(lambda: "x" in hands.lines[0])
        kinds = [type(span.author) for span in hands.song.lines[0].spans]
        assert kinds == [Model, Edited, Model]


async def test_what_the_network_wrote_can_be_written_again(run: Path) -> None:
    async with opened() as hands:

        async def again() -> str:
            (span,) = hands.song.lines[-1].spans
            assert isinstance(span.author, Model)
            return (await hands.screen._engine.again(span.author)).text

        await hands.type("春江花月夜\n")
        for _ in range(2):  # the second time other lines than the first
            await hands.press("ctrl+k")
            await hands.until(lambda: hands.screen.has_class("choosing"))
            await hands.press("3")
            assert await again() == hands.lines[-1]
        await hands.press("end", "enter", "ctrl+r")
        await hands.quiet()
        assert await again() == hands.lines[-1] != ""
        (span,) = hands.song.lines[-1].spans
        assert isinstance(span.author, Model)
        with pytest.raises(DraftError, match="other weights lie open"):
            await hands.screen._engine.again(replace(span.author, weights="0f"))
        with pytest.raises(DraftError, match="does not say all"):
            await hands.screen._engine.again(replace(span.author, settings={"temperature": 0.8}))


async def test_a_line_may_be_shown_from_its_rhyme(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught(home / "runs" / "songs-1", lines_reversed=True)
    monkeypatch.setattr("tui.screens.writing.CHARACTERS_PER_SECOND", 40)

    async def shown(hands: Hands) -> list[str]:
        """What the line held while it was written."""
        before, found = hands.lines[0], []
        await hands.press("ctrl+r")
        while hands.screen._writing is not None:
            found.append(hands.lines[0])
            await hands.pilot.pause(0.005)
        partly = (text for text in found if text != before)
        return [text for text in partly if 0 < len(text) < len(hands.lines[0])]

    async with opened() as hands:
        assert hands.screen._desk is not None
        hands.screen._desk.draft.set_form(
            "[[lines]]\nlength = 5\n"
        )  # long enough to be seen coming
        partly = await shown(hands)
        assert partly
        assert all(hands.lines[0].startswith(text) for text in partly)
        await hands.press("ctrl+f")
        assert "from the rhyme" in hands.where
        await hands.type("春")  # to be written anew, all of it
        partly = await shown(hands)
        assert partly
        assert all(hands.lines[0].endswith(text) for text in partly)
        (span,) = hands.song.lines[0].spans
        assert isinstance(span.author, Model)


async def test_rewriting_all_leaves_locked_lines(run: Path) -> None:
    async with opened() as hands:
        await hands.type("海上明月\n春江夜雨\n\n水上花")
        await hands.press("up", "up", "ctrl+l", "ctrl+e")
        await hands.quiet()
        first, kept, blank, last = hands.lines
        assert (kept, blank) == ("春江夜雨", "")
        assert first not in ("", "海上明月")
        assert last not in ("", "水上花")
        await hands.press("ctrl+z")
        assert hands.lines == ["海上明月", "春江夜雨", "", "水上花"]


async def test_copies_are_marked_and_their_song_is_named(run: Path) -> None:
    async with opened() as hands:
        await hands.type("看上海潮平初月")
        note = hands.screen.query_one("#note", LiveLine)
        await hands.until(lambda: note.text, "the name of the song")
        assert note.text.startswith("6 characters stand in 春江花月")
        strip = hands.screen.query_one(LyricSheet).render_line(0)
        underlined = [s.text for s in strip if s.style is not None and s.style.underline]
        assert "".join(underlined) == "上海潮平初月"
        await hands.press("left", "left", "backspace", "天")
        await hands.until(lambda: "but for one" in note.text)
        await hands.press("home", *["delete"] * 3)
        await hands.until(lambda: not note.text)


async def test_what_rhymes_is_put_at_the_cursor(run: Path) -> None:
    async with opened() as hands:
        await hands.type("山中月明")
        await hands.press("f3")
        await hands.dialog(Choose)
        words = [str(option.prompt) for option in hands.app.screen.query_one(OptionList).options]
        assert any("生" in word or "平" in word or "晴" in word for word in words)
        first = words[0].split()[0]
        await hands.press("enter")
        await hands.until(lambda: hands.lines == ["山中月明" + first])


# History, files, screens


async def test_a_state_is_brought_back_and_that_can_be_undone(home: Path) -> None:
    async with opened() as hands:
        await hands.type("la\nlu")
        await hands.press("f4")
        await hands.dialog(History)
        await hands.press("down", "down")
        changes = str(hands.app.screen.query_one("#changes").content)  # type: ignore[attr-defined]
        assert "- lu" in changes
        await hands.press("enter")
        await hands.until(lambda: hands.lines == ["la"])
        await hands.press("ctrl+z")
        assert hands.lines == ["la", "lu"]


async def test_a_file_is_not_written_over_unasked(home: Path) -> None:
    path = home / "song.md"
    path.write_text("mine")
    async with opened() as hands:
        await hands.type("la")
        await hands.press("f5")
        form = await hands.dialog(Form)
        form.query_one("#path", Input).value = str(path)
        await hands.press("enter")
        assert "exists already" in str(form.query_one("#complaint").content)
        assert path.read_text() == "mine"
        form.query_one("#replace", Input).value = "yes"
        await hands.press("enter")
        await hands.until(lambda: hands.told)
        assert path.read_text() == "la\n"
        assert hands.told == [f"Written to {path}."]


async def test_a_new_song_by_its_title_and_the_old_one_again(home: Path) -> None:
    async with opened() as hands:
        await hands.type("la")
        await hands.press("f6")
        dialog = await hands.dialog(Choose)
        dialog.query_one(Input).value = "Second"
        dialog.query_one(Input).focus()
        await hands.press("enter")
        await hands.until(lambda: "Second" in hands.where)
        await hands.type("lu")
        assert hands.lines == ["lu"]
        await hands.press("f6")
        await hands.dialog(Choose)
        await hands.press("down", "enter")
        await hands.until(lambda: hands.lines == ["la"])


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_candidates_have_a_place_on_any_screen(run: Path, size: tuple[int, int]) -> None:
    async with opened(size) as hands:
        await hands.type("海上明月")
        await hands.press("ctrl+k")
        await hands.until(lambda: hands.screen.has_class("choosing"))
        await hands.pilot.pause(0)
        pane = hands.screen.query_one(CandidateList)
        await hands.until(lambda: pane._offers[-1].text[:3] in pane.text)
        assert pane.size.height > len(pane._offers)
        assert "海上明月" in hands.rows[0]


async def test_only_the_row_that_changed_is_painted(home: Path) -> None:
    async with opened() as hands:
        await hands.type("la\nlu\nli")
        sheet = hands.screen.query_one(LyricSheet)
        painted: list[int] = []
        render = sheet.render_line
        sheet.render_line = lambda y: (painted.append(y), render(y))[1]  # type: ignore[func-returns-value,method-assign]
        await hands.press("x")
        await hands.pilot.pause(0)
        assert set(painted) == {2}


async def test_lines_are_timed_by_tapping_and_the_times_go_into_lrc(home: Path) -> None:
    async with opened() as hands:
        await hands.type("春江\n\n花月\n夜水")
        now = 100.0
        assert hands.screen._desk is not None
        hands.app.push_screen(Timing(hands.screen._desk.draft, clock=lambda: now))
        await hands.dialog(Timing)
        await hands.press("space")  # starts the clock: the first line is sung at 0
        now += 2.5
        await hands.press("space")
        now += 70.25
        await hands.press("space")
        assert [line.stamp for line in hands.song.lines] == [0.0, None, 2.5, 72.75]
        await hands.press("backspace")  # the cursor stayed on the last line; back to the one before
        assert [line.stamp for line in hands.song.lines] == [0.0, None, None, 72.75]
        await hands.press("enter")  # stops the clock
        now += 1000
        await hands.press("space", "escape")
        stamps = [line.stamp for line in hands.song.lines]
        assert stamps == [0.0, None, 72.75, 72.75]
        assert "[01:12.75]花月" in export(hands.song, "lrc").splitlines()


async def test_words_are_timed_by_tapping_and_the_times_go_into_enhanced_lrc(home: Path) -> None:
    async with opened() as hands:
        now = 50.0
        assert hands.screen._desk is not None
        hands.screen._desk.paste("春江 la\n。\nlove's 月")
        hands.app.push_screen(Timing(hands.screen._desk.draft, clock=lambda: now))
        await hands.dialog(Timing)
        await hands.press("w")
        for _ in range(3):
            await hands.press("space")
            now += 1
        await hands.press("backspace")  # a line that is done: its last word
        await hands.press("space")
        first, dots, last = hands.song.lines
        assert (first.stamp, first.words) == (0.0, ((0, 0.0), (1, 1.0), (3, 3.0)))
        now += 1
        await hands.press("space", "space")  # dots have no words: the line is stamped alone
        now += 1
        await hands.press("backspace", "space", "space", "escape")
        first, dots, last = hands.song.lines
        assert (dots.stamp, dots.words) == (4.0, ())
        assert (last.stamp, last.words) == (5.0, ((0, 5.0), (7, 5.0)))
        assert "<00:01.00>江" in export(hands.song, "enhanced-lrc")


async def test_a_key_opens_the_times(home: Path) -> None:
    async with opened() as hands:
        await hands.type("春江")
        await hands.press("ctrl+o")
        await hands.dialog(Timing)
        await hands.press("escape")
        await hands.until(lambda: hands.app.screen is hands.screen)
