"""What the tests of several rooms share: seeds that are told, tiny runs, and children to kill."""

from __future__ import annotations

import json
import os
import secrets
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:  # torch is imported where a test asks for it, not for every test there is
    from engine.config import TrainingConfig
    from engine.training.loop import Happening, TrainingLoop
    from engine.training.run import Run

# No test asserts times, so hypothesis must not either.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Under nohup, and so in some CI, SIGHUP is ignored from the start. The commands that are tested
# respect that, so the tests of a line that is cut need it as it is in a terminal.
for _signal in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
    if signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, signal.SIG_DFL)

ROOT = Path(__file__).parents[1]
ZYGOTE = ROOT / "tests" / "faults" / "zygote.py"
PATIENCE = 60.0  # seconds for an answer that must come; only a broken test waits so long

SONGS = "\n\n".join(
    f"春江花月{word}\n{word}上海潮平\n明月共{word}生\nla la la {word}"
    for word in "夜水山云风雨雪花鸟鱼"
)


@pytest.fixture
def seed() -> int:
    """The seed of a random test, other each time; a failing test's output shows it."""
    given = os.environ.get("LYRICRNN_TEST_SEED")
    value = int(given) if given else secrets.randbelow(2**32)
    print(f"seed {value}: LYRICRNN_TEST_SEED={value} runs this test again")
    return value


# --- Tiny runs ----------------------------------------------------------------------------------


class Workshop:
    """Makes tiny runs and trains them, and closes what it opened."""

    songs = SONGS

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._loops: list[TrainingLoop] = []

    @staticmethod
    def config(**changes: Any) -> TrainingConfig:
        """A configuration that trains in a tenth of a second. Changes are given by name alone:
        the model's, the corpus's or the training's."""
        from engine.config import CorpusConfig, ModelConfig, TrainingConfig

        values: dict[str, Any] = {
            "hidden": 8,
            "embedding": 4,
            "dropout": 0.2,
            "held_out": 0.3,
            "batch": 2,
            "time_steps": 8,
            "steps": 24,
            "evaluate_every": 5,
            "checkpoint_every": 4,
            "sample_every": 10,
            "keep_checkpoints": 2,
            "patience": 0,
            "threads": 1,
            "precision": "fp32",
            "device": "cpu",
            **changes,
        }

        def taken(kind: Any) -> dict[str, Any]:
            return {name: values.pop(name) for name in list(values) if name in kind.model_fields}

        model, corpus = ModelConfig(**taken(ModelConfig)), CorpusConfig(**taken(CorpusConfig))
        return TrainingConfig(model=model, corpus=corpus, **values)

    def new_run(self, name: str = "run", text: str = SONGS, **changes: Any) -> Run:
        from engine.corpus.corpus import Corpus
        from engine.training import prepare

        config = self.config(**changes)
        corpus = Corpus.from_text(text, config=config.corpus)
        return prepare.new_run(self.folder / name, corpus, config)[0]

    def loop(self, run: Run) -> TrainingLoop:
        """A loop over a run, opened again from the disk, where its newest checkpoint stands."""
        import torch

        from engine.training import prepare
        from engine.training.loop import TrainingLoop
        from engine.training.run import Run

        opened = Run.open(run.path)
        loop = TrainingLoop(opened, prepare.trainer_for(opened, torch.device("cpu")))
        self._loops.append(loop)
        loop.restore()
        return loop

    @staticmethod
    def finish(loop: TrainingLoop) -> list[Happening]:
        """Trains to the end; everything that was told."""
        happened: list[Happening] = []
        while not loop.state.ended:
            happened += loop.advance()
        return happened

    @staticmethod
    def advance_to(loop: TrainingLoop, step: int) -> list[Happening]:
        """Trains until so many steps are done, and no further."""
        happened: list[Happening] = []
        while loop.trainer.step_count < step:
            assert not loop.state.ended
            happened += loop.advance()
        return happened

    def trained(self, name: str = "run", **changes: Any) -> Run:
        """A run that has been trained to its end."""
        run = self.new_run(name, **changes)
        self.finish(self.loop(run))
        return run

    def close(self) -> None:
        for loop in self._loops:
            loop.close()


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    import torch

    torch.set_num_threads(1)
    made = Workshop(tmp_path)
    yield made
    made.close()


# --- Children to kill ---------------------------------------------------------------------------


class Child:
    """A process that the zygote forked. What it says comes as one JSON object a line."""

    def __init__(self, zygote: Zygote, pid: int) -> None:
        self._zygote, self.pid = zygote, pid
        self.reaped = False
        self.unheard: list[dict[str, Any]] = []

    def said(self, seconds: float = PATIENCE) -> dict[str, Any] | None:
        """The next thing that the child says; None where it says nothing for so long."""
        return self._zygote.line(seconds)

    def expect(self, key: str) -> dict[str, Any]:
        """The next thing that the child says, which must have that key."""
        line = self.said()
        assert line is not None, f"the child did not say {key} within {PATIENCE} s"
        assert key in line, line
        return line

    def kill(self) -> bool:
        """Sends SIGKILL and takes leave of the child; True where it was that which ended it.

        The zygote keeps a child that has ended as a zombie until it is told to reap it, so the
        signal cannot hit another process that got the same number.
        """
        os.kill(self.pid, signal.SIGKILL)
        return self.reap() == -signal.SIGKILL

    def reap(self) -> int:
        """Waits for the child's end; its exit status, or minus the signal that ended it. What it
        had said and nobody had heard is in `unheard`."""
        self._zygote.tell({"do": "reap"})
        self.reaped = True
        while True:
            line = self._zygote.line(PATIENCE)
            assert line is not None, f"child {self.pid} did not end within {PATIENCE} s"
            if "reaped" in line:
                return int(line["reaped"])
            self.unheard.append(line)


class Zygote:
    """A process that has torch imported and forks a child for each command, one at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(ZYGOTE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._heard = b""
        self._child: Child | None = None
        ready = self.line(PATIENCE)
        assert ready == {"ready": True}, ready

    def fork(self, **command: Any) -> Child:
        if self._child is not None and not self._child.reaped:
            self._child.kill()  # a test that failed left it
        self.tell(command)
        line = self.line(PATIENCE)
        assert line is not None
        self._child = Child(self, line["pid"])
        return self._child

    def tell(self, command: dict[str, Any]) -> None:
        os.write(self._in, json.dumps(command).encode() + b"\n")

    def line(self, seconds: float) -> dict[str, Any] | None:
        while b"\n" not in self._heard:
            if not select.select([self._out], [], [], seconds)[0]:
                return None
            received = os.read(self._out, 65536)
            assert received, "the zygote has ended"
            self._heard += received
        line, _, self._heard = self._heard.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)  # the group is its own, its child in it
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    made = Zygote()
    yield made
    made.close()
