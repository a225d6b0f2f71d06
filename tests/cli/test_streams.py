"""Who reads the two streams: pipes that close, terminals that obey, nobody at all."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 120
MAIN = "from tui.main import main; main()"


class Terminal:
    """A terminal of 80 × 24 that a command is started in."""

    def __init__(
        self, command: Any, *words: str | Path, program: list[str] | None = None, **more: str
    ) -> None:
        self._here, there = pty.openpty()
        fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.child = command.start(
            *words,
            stdin=there,
            stdout=there,
            stderr=there,
            env=command.environment(**more),
            program=program or [sys.executable, "-c", MAIN],
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(there)
        self.text = ""

    def until(self, *parts: str) -> str:
        """Reads until one of these is on the terminal; without any, to the end."""
        deadline = time.monotonic() + PATIENCE
        while not any(part in self.text for part in parts):
            ready = select.select([self._here], [], [], max(0, deadline - time.monotonic()))[0]
            assert ready, self.text
            try:
                data = os.read(self._here, 65536)
            except OSError:  # the last one on the other side is gone
                data = b""
            if not data:
                assert not parts, self.text
                break
            self.text += data.decode(errors="replace")
        return self.text

    def press(self, keys: str) -> None:
        os.write(self._here, keys.encode())

    def close(self) -> None:
        os.close(self._here)


def test_training_into_head_saves_first(alone: Any, songs: Path, small: list[str]) -> None:
    child = alone.start("train", songs, *small, "--steps", "100000", "--run", "r", "--json")
    assert json.loads(child.stdout.readline())["event"] == "started"
    while json.loads(child.stdout.readline()).get("step", 0) == 0:
        pass
    child.stdout.close()
    assert child.wait(PATIENCE) == 141
    assert "Traceback" not in child.stderr.read()
    told = alone("runs", "show", "r", "--json").json
    assert list((alone.home / "r" / "checkpoints").glob(f"step-{told['step']:09d}"))
    assert told["step"] > 0


@pytest.mark.parametrize(
    "words", [["--help"], ["corpus", "show"], ["generate"], ["runs", "export"]], ids=" ".join
)
def test_a_reader_that_is_gone(lyricrnn: Any, trained: Path, songs: Path, words: list[str]) -> None:
    given = [str(songs)] if words[0] == "corpus" else [str(trained)] if words[0] != "--help" else []
    reading, writing = os.pipe()
    os.close(reading)
    child = lyricrnn.start(*words, *given, stdout=writing)
    os.close(writing)
    assert child.wait(PATIENCE) == 141
    assert child.stderr.read() == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_disk_that_is_full(lyricrnn: Any, trained: Path, songs: Path) -> None:
    for words in (["corpus", "show", songs], ["generate", trained]):
        with open("/dev/full", "w") as full:
            child = lyricrnn.start(*words, stdout=full)
        assert child.wait(PATIENCE) == 1
        error = child.stderr.read()
        assert error.count("\n") == 1
        assert "No space left" in error


def test_generating_streams_each_character(lyricrnn: Any, trained: Path) -> None:
    child = lyricrnn.start("generate", trained, "--length", "10000000", "--prompt", "月")
    assert child.stdout.read(40).startswith("月")
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=PATIENCE)
    assert child.returncode == 130
    assert out.endswith("\n")
    assert err == ""


def test_a_terminal_sees_a_bar_and_lines_above_it(
    alone: Any, songs: Path, small: list[str]
) -> None:
    terminal = Terminal(alone, "train", songs, *small, "--steps", "4000", "--run", "r")
    terminal.until("━")
    terminal.until("it writes")
    terminal.until("held-out loss")
    terminal.until("/4,000")
    terminal.press("\x03\x03")  # as an impatient person does
    text = terminal.until()
    assert terminal.child.wait(PATIENCE) == 130
    assert "interrupted by SIGINT" in text
    assert "--resume --run" in text
    assert "Traceback" not in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # the cursor is back


def test_a_long_sentence_is_wrapped_between_words(lyricrnn: Any) -> None:
    lines = shown(lyricrnn, ["train", "no-such-file"], NO_COLOR="1").splitlines()
    assert len(lines) > 1
    assert all(len(line) <= 80 for line in lines)
    assert "is neither a file or folder nor a shipped collection" in " ".join(
        line.strip() for line in lines
    )


def test_json_on_a_terminal_is_not_mixed_with_a_bar(
    alone: Any, songs: Path, small: list[str]
) -> None:
    terminal = Terminal(alone, "train", songs, *small, "--steps", "30", "--json")
    text = terminal.until()
    assert terminal.child.wait(PATIENCE) == 0
    assert "\x1b" not in text
    assert [json.loads(line) for line in text.splitlines()][-1]["event"] == "finished"


def test_a_terminal_that_is_closed_ends_training_saved(
    alone: Any, songs: Path, small: list[str]
) -> None:
    words = ["--steps", "1000000", "--sample-every", "20", "--run", "r"]
    terminal = Terminal(alone, "train", songs, *small, *words)
    terminal.until("it writes")
    terminal.close()  # the kernel sends SIGHUP, and every write fails from now on
    assert terminal.child.wait(PATIENCE) == 129
    assert alone("runs", "show", "r", "--json").json["step"] > 0


def test_streams_that_are_closed_from_the_start(lyricrnn: Any, songs: Path) -> None:
    for closing in (">&-", "2>&-", "<&- >&- 2>&-"):
        words = f'exec "$@" {closing}'
        program = ["sh", "-c", words, "sh", sys.executable, "-c", MAIN]
        done = lyricrnn.finish("corpus", "show", songs, program=program)
        assert done.status == 0, done.err
        assert done.err == ""
        assert bool(done.out) == (closing == "2>&-")


# -- colours, and text that is not harmless -------------------------------------------------

SEVERAL = """
import json, sys
from tui.commands import run_commands
for words in json.loads(sys.argv[1]):
    print(f"<{run_commands(words)}>", flush=True)
"""


def shown(command: Any, *several: list[str | Path], **environment: str) -> str:
    """What a terminal gets from these commands, one after the other in one process."""
    words = json.dumps([list(map(str, words)) for words in several])
    program = [sys.executable, "-c", SEVERAL]
    terminal = Terminal(command, words, program=program, **environment)
    text = terminal.until()
    terminal.close()
    assert "Traceback" not in text
    assert text.count("\n<") + text.startswith("<") >= len(several), text
    return text


def test_no_colour_where_none_is_wanted(lyricrnn: Any, trained: Path) -> None:
    both = (["runs", "list"], ["train", "no-such-file"])
    assert "\x1b[1;31mlyricrnn: " in shown(lyricrnn, *both)
    assert "\x1b" not in shown(lyricrnn, *both, NO_COLOR="1")
    assert "\x1b" not in shown(lyricrnn, both[1], TERM="dumb")
    environment = lyricrnn.environment(FORCE_COLOR="1")
    assert "\x1b" not in lyricrnn.finish("runs", "list", env=environment).out


HOSTILE = "[/bold] [x]\x1b[31m red \x1b]0;title\x07 \u202eover \x9b31m "


@pytest.fixture
def hostile(alone: Any) -> Path:
    """A text full of what a terminal would obey, under a name of the same kind."""
    path: Path = alone.home / "so\x1b[31m\u202e[bold].txt"
    path.write_text("\n\n".join(f"{HOSTILE} {n}" for n in range(12)), encoding="utf-8")
    return path


def test_hostile_text_is_harmless_on_a_terminal(
    alone: Any, hostile: Path, small: list[str]
) -> None:
    run = alone.home / "r\x1b[32m"
    text = shown(
        alone,
        ["train", hostile, *small, "--steps", "12", "--run", run, "--sample-every", "6"],
        ["generate", run, "--prompt", HOSTILE, "--length", "40", "--seed", "1"],
        ["generate", run, "--prompt", "\x1b[2J\u202e", "--length", "1"],
        ["runs", "show", run],
        ["runs", "show", run, "--json"],
        ["runs", "compare", run, run],
        ["inspect", run],
        ["inspect", run, "--text", "\x1b[/"],
        ["inspect", hostile],
        ["corpus", "show", hostile],
        ["corpus", "show", hostile, "--json"],
        ["evaluate", run, "--corpus", hostile],
        ["train", f"{hostile}x"],
        ["runs", "show", f"{run}x"],
        ["generate", f"{run}", "--\x1b[2J"],
        NO_COLOR="1",
    )
    assert "Markup" not in text
    assert "[/bold] [x]␛[31m red ␛]0;title␇ ‹U+202E›over" in text
    # Of control sequences there are only those that move the bar and the cursor.
    for moving in ("\x1b[?25l", "\x1b[?25h", "\x1b[2K", "\x1b[1A"):
        text = text.replace(moving, "")
    for harmful in ("\x1b", "\x07", "\x9b", "\u202e"):
        assert harmful not in text


def test_a_pipe_gets_the_text_as_it_is(alone: Any, hostile: Path, small: list[str]) -> None:
    assert alone("train", hostile, *small, "--steps", "2", "--run", "r").status == 0
    prompt = "\x1b[31m red"
    done = alone("generate", "r", "--prompt", prompt, "--length", "3")
    assert done.out.startswith(prompt)
    told = alone("generate", "r", "--prompt", "\u202e中", "--length", "3", "--json")
    assert "\u202e" not in told.out
    assert told.json["prompt"] == "\u202e中"
    assert "中" in told.out


def test_bytes_that_are_no_text_do_not_break_the_output(lyricrnn: Any, trained: Path) -> None:
    prompt = b"\xff".decode(errors="surrogateescape") + "月"
    environment = lyricrnn.environment(PYTHONIOENCODING="latin-1")
    words = ["generate", trained, "--prompt", prompt, "--length", "3", "--json"]
    done = lyricrnn.finish(*words, env=environment)
    assert done.status == 0, done.err
    assert done.json["prompt"] == prompt
    assert done.json["skipped"] == ["\udcff"]
    assert done.out.isascii()


def test_evaluating_shows_a_bar_on_a_terminal(lyricrnn: Any, trained: Path, tmp_path: Path) -> None:
    long = tmp_path / "long.txt"
    long.write_text("春江花月夜\n" * 200_000, encoding="utf-8")
    terminal = Terminal(lyricrnn, "evaluate", trained, "--corpus", long)
    terminal.until("━")
    terminal.until("perplexity")
    assert terminal.child.wait(PATIENCE) == 0
