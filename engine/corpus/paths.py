"""Paths in sentences: how one is shown, and what the system says against it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import CorpusError


def shown(path: str | os.PathLike[str]) -> str:
    """A path as it can stand in a sentence: what is not printable is escaped."""
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1]
        for character in os.fspath(path)
    )


@contextmanager
def errors_as_sentences(path: Path) -> Iterator[None]:
    """Turns what the system says about `path` into a CorpusError."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        if os.path.islink(path):
            problem, remedy = "is a link to a file that does not exist", "mend or remove it"
        else:
            problem, remedy = "does not exist", "check how it is spelt"
    except PermissionError:
        problem, remedy = "may not be read (permission denied)", "change its permissions"
    except IsADirectoryError:
        problem, remedy = "is a folder now", "name a text file or a folder of them"
    except MemoryError:
        problem, remedy = "does not fit into memory", "name a smaller part of it"
    except OSError as error:
        problem = f"cannot be read ({error.strerror or error})"
        remedy = "copy it elsewhere or name another file"
    except ValueError:  # a NUL in the path
        problem, remedy = "is no path", "name a text file or a folder of them"
    else:
        return
    raise CorpusError(f"{shown(path)} {problem}: {remedy}.")
