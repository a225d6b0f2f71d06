"""The command line as other programs see it: words in, two streams, an exit status, files."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-c", "from tui.main import main; main()"]
PATIENCE = 120  # seconds for what must come; only a broken test waits so long

SONGS = "\n\n".join(
    f"春江花月{word}\n{word}上海潮平\n明月共{word}生\nla la la {word}"
    for word in "夜水山云风雨雪花鸟鱼"
)
SMALL = ["--hidden", "12", "--embedding", "6", "--batch", "2", "--time-steps", "8"]
SMALL += ["--held-out", "0.3", "--threads", "1", "--precision", "fp32", "--patience", "0"]


@dataclass
class Outcome:
    """What a finished command left."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The last line of standard output; every line must be a JSON object."""
        return self.lines[-1]

    @property
    def lines(self) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in self.out.splitlines()]
        assert found, self.err
        assert all(isinstance(line, dict) for line in found)
        return found

    def refused(self, status: int = 2) -> str:
        """The one sentence of a refusal, after making sure that it is just that."""
        assert self.status == status, self.out + self.err
        assert "Traceback" not in self.out + self.err
        assert self.out == ""
        told = [line for line in self.err.splitlines() if not line.startswith("warning: ")]
        assert len(told) == 1, self.err
        assert told[0].startswith("lyricrnn: ")
        return told[0]


@dataclass
class Lyricrnn:
    """Runs the command in a place of its own: `start` in a process, to be watched, signalled and
    cut off; a call in this one, where torch is loaded once for all tests."""

    home: Path
    capsys: pytest.CaptureFixture[str] | None = None
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def environment(self, **more: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
        return {
            **kept,
            "PYTHONPATH": str(ROOT),
            "LYRICRNN_HOME": str(self.home),
            "TERM": "xterm-256color",
            **more,
        }

    def __call__(self, *words: str | Path) -> Outcome:
        from tui.commands import run_commands

        assert self.capsys is not None
        self.capsys.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LYRICRNN_HOME", str(self.home))
            patch.chdir(self.home)
            status = run_commands([str(word) for word in words])
        return Outcome(status, *self.capsys.readouterr())

    def start(self, *words: str | Path, **options: Any) -> subprocess.Popen[str]:
        """A command to watch and to signal; it is killed at the end if it still runs."""
        child = subprocess.Popen(
            [*options.pop("program", PROGRAM), *map(str, words)],
            **{
                "env": self.environment(),
                "cwd": self.home,
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "text": True,
                # A shell ignores SIGINT for what it puts into the background; a person does not.
                "preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
                **options,
            },
        )
        self.started.append(child)
        return child

    def finish(self, *words: str | Path, **options: Any) -> Outcome:
        """A command in a process, to its end."""
        child = self.start(*words, **options)
        out, err = child.communicate(timeout=PATIENCE)
        return Outcome(child.returncode, out or "", err or "")

    def end(self) -> None:
        for child in self.started:
            if child.poll() is None:
                child.kill()
                child.wait()
            for stream in (child.stdout, child.stderr):
                if stream is not None:
                    stream.close()


@pytest.fixture(scope="session")
def session_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lyricrnn")


@pytest.fixture(scope="session")
def songs(session_home: Path) -> Path:
    """A text of ten songs."""
    path = session_home / "songs.txt"
    path.write_text(SONGS, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def training(session_home: Path, songs: Path) -> Outcome:
    """What training the run that all tests share said."""
    words = ["train", songs, *SMALL, "--steps", "40", "--json", "--seed", "3"]
    done = Lyricrnn(session_home).finish(*words)
    assert done.status == 0, done.err
    return done


@pytest.fixture
def trained(training: Outcome) -> Path:
    """The folder of that run; its name is alone under the runs of `session_home`."""
    return Path(training.json["run"])


@pytest.fixture
def lyricrnn(session_home: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Lyricrnn]:
    """The command where the shared run is the latest."""
    command = Lyricrnn(session_home, capsys)
    yield command
    command.end()


@pytest.fixture
def alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Lyricrnn]:
    """The command in an empty place of its own."""
    command = Lyricrnn(tmp_path, capsys)
    yield command
    command.end()


@pytest.fixture
def small() -> list[str]:
    """Flags of a network that trains in no time."""
    return SMALL


def _contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def contents() -> Callable[[Path], dict[str, str]]:
    """Every file below a folder with its hash, to see that nothing was touched."""
    return _contents


@pytest.fixture
def untouched(session_home: Path, trained: Path) -> Iterator[None]:
    """Fails where a test changed anything around the shared run."""
    before = _contents(session_home)
    yield
    assert _contents(session_home) == before
