"""The corpora that were used last, so that they can be chosen again by name."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from engine.corpus import library
from engine.places import home

MOST = 12


def paths() -> list[Path]:
    """The files and folders that were used last and are still there, the newest first."""
    try:
        found = json.loads(_file().read_bytes())
    except (OSError, ValueError, RecursionError):
        return []
    texts = [text for text in found if isinstance(text, str)] if isinstance(found, list) else []
    there = []
    for text in texts[:MOST]:
        with contextlib.suppress(OSError, ValueError):
            if Path(text).exists():
                there.append(Path(text))
    return there


def remember(path: Path) -> None:
    """Puts a file or folder first in the list. What ships is in a list of its own. That it could
    not be written is no reason to stop anybody's work."""
    path = Path(os.path.abspath(path))
    if path.is_relative_to(library.FOLDER):
        return
    newest = [path, *(other for other in paths() if other != path)][:MOST]
    with contextlib.suppress(OSError, ValueError):
        file = _file()
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_name(f".{file.name}.{os.getpid()}")
        beside.write_text(json.dumps([str(one) for one in newest]), encoding="utf-8")
        os.replace(beside, file)


def _file() -> Path:
    return home() / "recent.json"
