"""The command `lyricrnn`: alone it opens the app, with words it is the command line."""

from __future__ import annotations

import sys


def main() -> None:
    """Chooses the face. Each imports only what it shows, and neither torch."""
    if len(sys.argv) == 1:
        from tui.app import open_app

        sys.exit(open_app())
    from tui.commands import run_commands

    sys.exit(run_commands(sys.argv[1:]))
