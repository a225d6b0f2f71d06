"""How a word on the command line becomes a run, and a run a network."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import RunError
from tui.commands import output

if TYPE_CHECKING:
    from engine.model.network import CharRNN
    from engine.training.checkpoint import Checkpoint
    from engine.training.run import Run

LATEST = "latest"


def find_run(name: str) -> Path:
    """The folder of a run: a path, the name of a folder among the runs, or `latest`.

    A path that leads nowhere is returned as it is: opening it says so.
    """
    from engine.training.run import all_runs, home

    if name == LATEST:
        runs = all_runs()
        if not runs:
            raise RunError("There is no run yet: `lyricrnn train CORPUS` makes the first one.")
        return runs[0]
    path, among_runs = Path(name).expanduser(), home() / "runs" / name
    if not (path / "run.toml").exists() and (among_runs / "run.toml").exists():
        return among_runs
    return path


def short_name(run: Path) -> str:
    """What to call a run on the command line, quoted for a shell."""
    from engine.training.run import home

    try:
        if run.resolve().parent == (home() / "runs").resolve():
            return shlex.quote(run.name)
    except OSError:
        pass
    return shlex.quote(str(run))


def best_network(run: Run) -> tuple[CharRNN, Checkpoint]:
    """A run's network with its best weights; checkpoints that are not whole are warned of."""
    from engine.training import prepare

    warnings: list[str] = []
    network, found = prepare.best_network(run, warnings)
    for warning in warnings:
        output.warn(warning)
    return network, found
