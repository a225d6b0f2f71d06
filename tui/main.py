"""The command `lyricrnn`: alone or with a songbook it opens the app, with other words it is the
command line."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Chooses the face. Each imports only what it shows, and neither torch."""
    if len(sys.argv) == 1:
        from tui.app import open_app

        sys.exit(open_app())
    from tui.commands import NAMES, run_commands

    words = sys.argv[1:]
    if len(words) == 1 and words[0] not in NAMES and _is_there(words[0]):
        from tui.app import open_app

        sys.exit(open_app(words[0]))
    sys.exit(run_commands(words))


def _is_there(word: str) -> bool:
    """Whether a word names a file, a folder or a shipped collection."""
    from engine.corpus import library
    from engine.errors import CorpusError

    if word.startswith("-"):
        return False
    try:
        return os.path.lexists(os.path.expanduser(word)) or any(
            word == corpus.name for corpus in library.shipped()
        )
    except (CorpusError, ValueError):
        return False
