"""Where lyricrnn keeps what is no project's own: runs, and sets that were downloaded."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def home() -> Path:
    """The folder under which runs and downloaded sets live: LYRICRNN_HOME, or the user's data
    directory."""
    if given := os.environ.get("LYRICRNN_HOME"):
        return Path(given).expanduser()
    return platformdirs.user_data_path("lyricrnn", appauthor=False)
