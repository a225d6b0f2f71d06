"""What befalls a draft's file: it is cut, a bit flips, the writer is killed, the disk is full.

Whatever happens, the draft opens as it was at some moment, or a sentence says why not, and a file
that cannot be read is left as it is.
"""

from __future__ import annotations

import errno
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.errors import DraftError
from engine.writing.draft import Draft, Model, Span
from engine.writing.journal import Drafts, OpenDraft

MODEL = Model("runs/lamp", 1200, "ab" * 32, 7, {"temperature": 0.8})
PATIENCE = 60.0  # seconds for what must come; only a broken test waits so long
ROOT = Path(__file__).parents[2]

CHANGES: tuple[Callable[[OpenDraft], object], ...] = (
    lambda song: song.set_text(2, "la"),
    lambda song: song.write(2, [Span("灯", MODEL)]),
    lambda song: song.insert_lines(1, 0, ["lo"]),
    lambda song: song.undo(),
    lambda song: song.set_title("Lamp"),
    lambda song: song.split_line(2, 0),
)


@pytest.fixture
def drafts(tmp_path: Path) -> Drafts:
    return Drafts(tmp_path / "drafts")


def made(drafts: Drafts) -> tuple[Path, list[Draft]]:
    """A short journal, and the song after each of its lines."""
    with drafts.create("x") as song:
        states = [song.draft]
        for change in CHANGES:
            change(song)
            states.append(song.draft)
    return song.path, states


def goes_on(drafts: Drafts) -> None:
    """A draft that was opened can be changed, and is then as it was changed."""
    with drafts.open("x") as song:
        assert not song.read_only
        song.insert_lines(1, 0, ["and on"])
        after = song.draft
    with drafts.open("x") as song:
        assert song.warnings == ()
        assert song.draft == after


# --- The file -----------------------------------------------------------------------------------


def test_a_file_cut_at_every_byte_opens_as_it_was_before(drafts: Drafts) -> None:
    path, states = made(drafts)
    data = path.read_bytes()
    header = data.index(b"\n") + 1
    for length in range(len(data)):
        path.write_bytes(data[:length])
        if length < header:
            with pytest.raises(DraftError, match="is no draft, or its first line is damaged"):
                drafts.open("x")
            assert path.read_bytes() == data[:length]
            continue
        with drafts.open("x") as song:
            assert song.draft == states[data[:length].count(b"\n") - 1], length
            assert song.warnings == ()
        goes_on(drafts)
    assert not list(drafts.folder.glob("*damaged*"))


def test_a_bit_flipped_in_every_byte_loses_nothing_before_it(drafts: Drafts, seed: int) -> None:
    rng = random.Random(seed)
    path, states = made(drafts)
    data = path.read_bytes()
    header = data.index(b"\n")
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= rng.randrange(1, 256)
        path.write_bytes(flipped)
        if place <= header:
            with pytest.raises(DraftError, match="is no draft, or its first line is damaged"):
                drafts.open("x")
            assert path.read_bytes() == flipped
            continue
        whole = data[:place].count(b"\n")
        with drafts.open("x") as song:
            assert song.draft == states[whole - 1], place
            aside = list(drafts.folder.glob("*damaged*"))
            kept = b"".join(data.splitlines(keepends=True)[:whole])
            assert path.read_bytes() == kept
            if place < len(data) - 1:
                assert str(aside[0]) in song.warnings[0]
                assert kept + aside[0].read_bytes() == flipped
            else:
                assert aside == []  # the last line has no end: as if it had been cut short
        for one in aside:
            one.unlink()
    goes_on(drafts)


def test_a_line_that_is_missing_is_damage(drafts: Drafts) -> None:
    path, states = made(drafts)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:5] + lines[6:]))  # without the title, which all else can miss
    with drafts.open("x") as song:
        assert song.draft == states[4]
        assert "damaged after change 4" in song.warnings[0]


def test_damage_is_kept_aside_each_time_and_seen_by_who_only_reads(drafts: Drafts) -> None:
    path, states = made(drafts)
    whole = path.read_bytes()
    with drafts.open("x"):
        path.write_bytes(whole + b"rubbish\n")
        reader = drafts.open("x")
        assert reader.draft == states[-1]
        assert "The file was left as it is" in reader.warnings[1]
        assert path.read_bytes() == whole + b"rubbish\n"
    for number in (1, 2):
        path.write_bytes(whole + b"rubbish %d\n" % number)
        with drafts.open("x") as song:
            assert f"x.draft.damaged-{number}" in song.warnings[0]
        assert Path(f"{path}.damaged-{number}").read_bytes() == b"rubbish %d\n" % number
    goes_on(drafts)


def sealed(body: bytes) -> bytes:
    from engine.writing import journal

    return journal._sealed(body)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is no draft"),
        (b"\n\n", "is no draft"),
        (b"la la la\n", "is no draft"),
        (bytes(1000), "is no draft"),
        (b"[" * 100_000 + b"\n", "is no draft"),
        (sealed(b'{"format":"another","version":1}'), "is no draft"),
        (sealed(b'{"format":"lyricrnn draft","version":1,"time":0}'), "is no draft"),
        (sealed(b'{"format":"lyricrnn draft","version":2}'), "format 2 .* with a newer one"),
    ],
)
def test_what_is_no_draft_is_refused_and_left_as_it_is(
    drafts: Drafts, data: bytes, why: str
) -> None:
    drafts.folder.mkdir()
    path = drafts.folder / "x.draft"
    path.write_bytes(data)
    with pytest.raises(DraftError, match=why):
        drafts.open("x")
    assert path.read_bytes() == data
    assert [one.name for one in drafts.listed()] == ["x"]


@pytest.mark.parametrize(
    "step",
    [
        b'{"do":"undo"}',
        b'{"do":"dance"}',
        b'{"do":"append","line":99,"text":"x","author":{"by":"person"}}',
        b'{"do":"append","line":2,"text":"x\\ny","author":{"by":"person"}}',
        b'{"do":"title","title":"x"}',
        b'{"do":"stamp","line":2,"stamp":NaN,"words":[]}',
        b'{"do":"restore","state":7}',
    ],
)
def test_a_step_that_cannot_be_taken_is_damage_though_its_sum_is_right(
    drafts: Drafts, step: bytes
) -> None:
    with drafts.create("x") as song:
        before = song.draft
    with song.path.open("ab") as file:
        file.write(sealed(b'{"number":1,"time":0.0,"step":' + step + b"}"))
    with drafts.open("x") as again:
        assert again.draft == before
        assert "damaged after change 0" in again.warnings[0]


# --- The disk -----------------------------------------------------------------------------------


@contextmanager
def failing_disk(at: int, for_good: bool) -> Iterator[list[int]]:
    """From the `at`th write or flush on the disk takes half of what it is given and fails, for
    good or once. Yields the failures."""
    count, hits = 0, []

    def wrapped(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(descriptor: int, *arguments: Any) -> Any:
            nonlocal count
            count += 1
            if count == at or (for_good and count > at):
                hits.append(count)
                if name == "write":
                    data = bytes(arguments[0])
                    real(descriptor, data[: len(data) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(descriptor, *arguments)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("write", "fsync", "ftruncate"):
            patch.setattr(os, name, wrapped(name, getattr(os, name)))
        yield hits


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "from then on"])
def test_a_failure_at_every_write_is_told_and_made_good(drafts: Drafts, for_good: bool) -> None:
    number = 0
    while True:
        number += 1
        song = drafts.create(f"{number}")
        with failing_disk(number, for_good) as hits:
            for change in CHANGES:
                change(song)
                if for_good and hits:
                    assert "No space left" in song.trouble
                    assert str(song.path) in song.trouble
            song.append(2, "la", MODEL)
            if for_good and hits:
                with pytest.raises(DraftError, match="No space left"):
                    song.flush()
        touched = bool(hits)
        song.append(2, "lo", MODEL)
        song.flush()
        assert song.trouble == ""
        written = song.path.read_bytes()
        song.close()
        assert song.path.read_bytes() == written
        with drafts.open(f"{number}") as again:
            assert again.warnings == ()
            assert again.draft == song.draft
            assert [entry.description for entry in again.entries()] == [
                entry.description for entry in song.entries()
            ]
        if not touched:
            break
    assert number > 6


def test_what_a_failed_flush_lost_is_written_once_more(
    drafts: Drafts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Linux does it: after a failed fsync the bytes may be gone and the next one succeeds."""
    song = drafts.create("x")
    song.set_text(2, "la")
    song.flush()
    safe = song.path.stat().st_size
    really = os.fsync
    failed = []

    def failing(descriptor: int) -> None:
        if not failed:
            failed.append(descriptor)
            os.truncate(song.path, safe)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        really(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    song.set_text(2, "lalo")
    song.set_title("Lamp")
    while song.path.stat().st_size <= safe or not failed or song.trouble:
        pass
    song.close()
    with drafts.open("x") as again:
        assert again.warnings == ()
        assert again.draft == song.draft


def test_what_a_full_disk_refused_is_written_without_being_asked_for(drafts: Drafts) -> None:
    song = drafts.create("x")
    song.flush()
    with failing_disk(1, for_good=True) as hits:
        song.set_text(2, "la")
        until = time.monotonic() + PATIENCE
        while len(hits) < 3:  # the journal has tried again by itself
            assert time.monotonic() < until
        assert song.trouble
    while song.trouble:
        assert time.monotonic() < until
    assert drafts.open("x").draft == song.draft
    song.close()


def test_a_draft_that_cannot_be_saved_says_so_when_it_is_closed_and_lets_go(drafts: Drafts) -> None:
    song = drafts.create("x")
    with failing_disk(1, for_good=True):
        song.set_text(2, "la")
        with pytest.raises(DraftError, match="No space left"):
            song.close()
    goes_on(drafts)


def test_a_new_draft_on_a_full_disk_is_refused_and_leaves_nothing(drafts: Drafts) -> None:
    with failing_disk(1, for_good=True), pytest.raises(DraftError, match="No space left"):
        drafts.create("x")
    assert drafts.listed() == []
    drafts.create("x").close()
    assert [one.name for one in drafts.listed()] == ["x"]


# --- Kills --------------------------------------------------------------------------------------

WRITER = """
import random, sys, time
from pathlib import Path
from engine.writing.draft import Model
from engine.writing.journal import Drafts

rng = random.Random(int(sys.argv[2]))
model = Model("runs/lamp", 1200, "ab" * 32, 7, {"temperature": 0.8})
song = Drafts(Path(sys.argv[1])).open("x")
assert not song.read_only and song.warnings == ()
number = sum(len(line.text.split()) for line in song.draft.lines)

def did(what):
    global number
    print(what, number, time.monotonic(), flush=True)
    number += 1

did("opened")
number -= 1
while True:
    line = rng.choice(song.draft.lines)
    match rng.randrange(4):
        case 0:
            song.set_text(line.id, f"{line.text} {number}")
            did("changed")
        case 1:
            song.insert_lines(1, 0, [f"{number}"])
            did("changed")
        case 2:
            song.insert_lines(1, 0, [f"{number}"])
            song.undo()
            song.redo()
            did("changed")
        case 3:
            for _ in range(rng.randrange(60)):
                song.append(line.id, f" {number}", model)
                did("streamed")
                time.sleep(rng.choice((0, 0.002, 0.005)))
            if rng.random() < 0.1:
                time.sleep(1.3)
"""


class Writer:
    """A process that changes a draft until it is killed, and says what it did and when."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), str(seed)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self._process.stdout is not None
        self._out = self._process.stdout.fileno()
        self._heard = b""

    def listen(self, seconds: float) -> None:
        """Hears what the child says for so long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([self._out], [], [], left)[0]:
                received = os.read(self._out, 65536)
                assert received, "the writer has ended by itself"
                self._heard += received

    def wait_until_open(self) -> None:
        until = time.monotonic() + PATIENCE
        while b"opened" not in self._heard:
            assert time.monotonic() < until
            self.listen(0.01)

    def kill(self) -> tuple[float, list[tuple[str, int, float]]]:
        """When it was killed, and all that it had done: (what, number, when)."""
        when = time.monotonic()
        self._process.send_signal(signal.SIGKILL)
        rest, _ = self._process.communicate()
        assert self._process.returncode == -signal.SIGKILL
        lines = [line.split() for line in (self._heard + rest).decode().split("\n")[:-1]]
        return when, [(what, int(number), float(time)) for what, number, time in lines]


def campaign(folder: Path, seed: int, kills: int) -> None:
    rng = random.Random(seed)
    drafts = Drafts(folder)
    did = 0
    for kill in range(kills):
        if kill % 10 == 0:  # a fresh draft now and then, and one that was killed before mostly
            for old in folder.glob("x.draft*"):
                old.unlink()
            drafts.create("x").close()
        writer = Writer(folder, rng.randrange(2**32))
        writer.wait_until_open()
        writer.listen(rng.uniform(0, 1.5 if rng.random() < 0.3 else 0.3))
        killed, said = writer.kill()
        with drafts.open("x") as song:
            assert song.warnings == ()
            there = sorted(int(n) for line in song.draft.lines for n in line.text.split())
        # All up to some moment is there, and nothing after it.
        assert there == list(range(len(there)))
        for what, number, when in said:
            if what == "changed" or (what == "streamed" and when < killed - 1):
                assert number < len(there), f"{what} {killed - when:.3f} s before the kill"
        did += len(said)
    print(f"{kills} kills, {did} changes")
    assert did > kills


def test_a_killed_writer_loses_nothing_that_is_a_second_old(drafts: Drafts, seed: int) -> None:
    campaign(drafts.folder, seed, kills=10)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_writer_killed_two_hundred_times_loses_nothing(drafts: Drafts, seed: int) -> None:
    campaign(drafts.folder, seed, kills=200)
