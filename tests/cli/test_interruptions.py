"""Ended by a signal: saved, told, and gone on with as if nothing had happened."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 120


def until(child: subprocess.Popen[str], event: str, least_step: int = 0) -> dict[str, Any]:
    """Reads JSON lines until that event of that step or a later one."""
    assert child.stdout is not None
    for line in child.stdout:
        told: dict[str, Any] = json.loads(line)
        if told["event"] == event and told.get("step", 0) >= least_step:
            return told
    raise AssertionError(f"{event} never came: {child.stderr.read() if child.stderr else ''}")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_saves_and_leaves_and_the_run_goes_on(
    alone: Any, songs: Path, small: list[str], name: str
) -> None:
    number = signal.Signals[name]
    words = [songs, *small, "--epochs", "40", "--dropout", "0.2"]
    child = alone.start("train", *words, "--run", "cut", "--json")
    until(child, "checkpoint", least_step=1)
    child.send_signal(number)
    child.send_signal(number)  # a second one changes nothing
    out, err = child.communicate(timeout=PATIENCE)
    assert child.returncode == 128 + number
    assert "Traceback" not in err
    end = json.loads(out.splitlines()[-1])
    assert end["event"] == "finished"
    assert end["reason"] == f"interrupted by {name}"
    assert end["step"] > 0
    assert (alone.home / "cut" / "checkpoints" / f"step-{end['step']:09d}").is_dir()

    resumed = alone("train", songs, "--resume", "--run", "cut", "--json")
    assert resumed.status == 0, resumed.err
    if name == "SIGTERM":
        whole = alone("train", *words, "--run", "whole", "--json")
        same = ("step", "loss", "held_out_loss")
        assert [resumed.json[key] for key in same] == [whole.json[key] for key in same]
        metrics = [(alone.home / run / "metrics.jsonl").read_bytes() for run in ("cut", "whole")]
        assert metrics[0] == metrics[1]


def test_a_signal_before_training_begins(alone: Any, songs: Path, small: list[str]) -> None:
    child = alone.start(
        "train",
        songs,
        *small,
        "--minutes",
        "9",
        "--run",
        "r",
        "--json",
        env=alone.environment(PYTHONUNBUFFERED="1"),
    )
    # Any moment will do: the signal must be understood at all of them, once the program listens.
    listening(child)
    child.send_signal(signal.SIGTERM)
    out, err = child.communicate(timeout=PATIENCE)
    assert child.returncode == 143
    assert "Traceback" not in err
    end = json.loads(out.splitlines()[-1])
    assert end["reason"] == "interrupted by SIGTERM"
    if end["run"] is None:
        assert not (alone.home / "r").exists()


def listening(child: subprocess.Popen[str]) -> None:
    """Waits until the program catches SIGTERM, as the kernel says."""
    mask = 1 << (signal.SIGTERM - 1)
    while child.poll() is None:
        status = Path(f"/proc/{child.pid}/status").read_text()
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
        if int(caught.split()[1], 16) & mask:
            return
    raise AssertionError("it ended before it listened")


def test_a_signal_that_was_ignored_stays_ignored(alone: Any, songs: Path, small: list[str]) -> None:
    """As under `nohup`."""
    child = alone.start(
        "train",
        songs,
        *small,
        "--steps",
        "300",
        "--run",
        "r",
        "--json",
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    until(child, "checkpoint", least_step=1)
    child.send_signal(signal.SIGHUP)
    out, _ = child.communicate(timeout=PATIENCE)
    assert child.returncode == 0
    assert json.loads(out.splitlines()[-1])["step"] == 300


def test_ctrl_c_elsewhere(lyricrnn: Any, trained: Path, tmp_path: Path) -> None:
    long = tmp_path / "long.txt"
    long.write_text("春江花月夜X\n" * 1_000_000, encoding="utf-8")
    child = lyricrnn.start("evaluate", trained, "--corpus", long)
    assert child.stderr.readline().startswith("warning: 1,000,000 of")
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=PATIENCE)
    assert child.returncode == 130, err
    assert out == ""
    assert "Traceback" not in err
