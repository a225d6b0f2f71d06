"""The zygote: imports torch once, then forks a child for each command, to be killed by a test.

Commands come as JSON, one a line, on standard input: {"do": "create" | "train" | "lock" | "reap",
…}. Forking is safe because this process has one thread and has computed nothing yet.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from engine.config import TrainingConfig
from engine.corpus.corpus import Corpus
from engine.training import prepare
from engine.training.loop import TrainingLoop
from engine.training.run import Run

really_write = os.write


def say(**facts: Any) -> None:
    really_write(1, json.dumps(facts).encode() + b"\n")


def halt_at_write(number: int, after: bool) -> None:
    """From now on, this process stands still before (or after) the `number`th thing that it does
    to the disk, half of a file's bytes written, and says so: it waits to be killed there."""
    count = 0

    def stand_still(what: str) -> None:
        say(halted=what)
        while True:
            signal.pause()

    def halting(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count != number:
                return real(*arguments, **named)
            if name == "write":
                descriptor, data = arguments
                real(descriptor, bytes(data) if after else bytes(data)[: len(data) // 2])
            elif after:
                with suppress(OSError):
                    real(*arguments, **named)
            return stand_still(f"{'after' if after else 'before'} {name}")

        return call

    for name in ("mkdir", "write", "fsync", "rename", "replace", "rmdir", "unlink"):
        setattr(os, name, halting(name, getattr(os, name)))


def create(command: dict[str, Any]) -> Run:
    path = Path(command["path"])
    if (path / "run.toml").exists():
        return Run.open(path)
    config = TrainingConfig(**command["config"])
    corpus = Corpus.from_text(command["text"], config=config.corpus)
    return prepare.new_run(path, corpus, config)[0]


def train(run: Run, command: dict[str, Any]) -> None:
    run.lock()
    loop = TrainingLoop(run, prepare.trainer_for(run, torch.device("cpu")))
    warnings = loop.restore()
    say(training=loop.progress.step, warnings=warnings)
    if command.get("halt"):
        halt_at_write(command["halt"], command.get("after", False))
    while not loop.state.ended:
        loop.advance()
    loop.close()
    say(finished=loop.state.value, weights=len(loop.trainer.network.state_dict()))


def live(command: dict[str, Any]) -> None:
    """A child's whole life."""
    if command["do"] == "create":
        if command.get("halt"):
            halt_at_write(command["halt"], command.get("after", False))
        create(command)
        say(created=True)
    elif command["do"] == "train":
        train(create(command), command)
    elif command["do"] == "lock":
        run = Run.open(Path(command["path"]))
        run.lock()
        say(locked=True)
        while True:
            signal.pause()


def main() -> None:
    torch.set_num_threads(1)
    torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])  # imports 800 modules more, once
    say(ready=True)
    child = 0
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "reap":
            status = os.waitpid(child, 0)[1]
            say(reaped=os.waitstatus_to_exitcode(status))
            continue
        child = os.fork()
        if child == 0:
            try:
                say(pid=os.getpid())
                live(command)
            except BaseException:
                say(failed=traceback.format_exc())
                os._exit(1)
            os._exit(0)


if __name__ == "__main__":
    main()
