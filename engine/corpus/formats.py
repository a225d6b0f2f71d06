"""Paths → files: which files of a folder are text, and how each kind is read."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.corpus.decoding import Decoded, decode
from engine.errors import CorpusError

Reader = Callable[[bytes, str], Decoded]

# The files that a folder is searched for, and how each is read. A file that is named by itself
# is read whatever its suffix is, as plain text if it is not here.
READERS: Mapping[str, Reader] = {".txt": decode, ".md": decode}

# What is larger was named by mistake far more often than meant: a disk image, a log, a database.
LARGEST = 4 * 2**30


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file that was read: its text, and the SHA-256 and number of its bytes on disk."""

    path: Path
    decoded: Decoded
    sha256: str
    bytes: int


def read(path: str | os.PathLike[str]) -> tuple[TextFile, ...]:
    """One file, or every text file below a folder in the order of their paths.

    In a folder, hidden files and folders, links to folders, and whatever is no regular file
    (pipes, devices) are passed over, and a file that several links lead to is read once. Raises
    CorpusError for what cannot be read; nothing but a regular file is ever opened.
    """
    if not os.fspath(path):
        raise CorpusError("No corpus was named: name a text file or a folder of them.")
    path = Path(path)
    mode = _status(path).st_mode
    if stat.S_ISDIR(mode):
        paths = _text_files_below(path)
    elif stat.S_ISREG(mode):
        paths = [path]
    else:
        raise CorpusError(
            f"{shown(path)} is {_kind(mode)}, not a file: name a text file or a folder of them."
        )
    _refuse_too_large(path, sum(_status(file).st_size for file in paths))
    return tuple(_read_file(file) for file in paths)


def shown(path: str | os.PathLike[str]) -> str:
    """A path as it can stand in a sentence: what is not printable is escaped."""
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1]
        for character in os.fspath(path)
    )


def _text_files_below(folder: Path) -> list[Path]:
    found: list[Path] = []
    folders = [folder]
    while folders:  # a stack, not recursion: a folder may be deeper than Python's limit
        here = folders.pop()
        with _errors_as_sentences(here), os.scandir(here) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                elif Path(entry.name).suffix.lower() in READERS:
                    found.append(Path(entry.path))
    found.sort(key=lambda path: path.parts)
    regular = (path for path in found if stat.S_ISREG(_status(path).st_mode))
    once: dict[str, Path] = {}
    for path in regular:
        once.setdefault(os.path.realpath(path), path)
    if not once:
        raise CorpusError(
            f"{shown(folder)} holds no text files: put songs into it as "
            f"{' or '.join(READERS)}, or name a single file of another kind."
        )
    return list(once.values())


def _read_file(path: Path) -> TextFile:
    with _errors_as_sentences(path):
        data = path.read_bytes()
    reader = READERS.get(path.suffix.lower(), decode)
    digest = hashlib.sha256(data).hexdigest()
    return TextFile(path, reader(data, shown(path)), digest, len(data))


def _status(path: Path) -> os.stat_result:
    with _errors_as_sentences(path):
        return path.stat()


def _refuse_too_large(path: Path, size: int) -> None:
    if size > LARGEST:
        raise CorpusError(
            f"{shown(path)} holds {size / 2**30:,.1f} GiB, more than the "
            f"{LARGEST / 2**30:,.0f} GiB that are read at most: name a smaller part of it."
        )


def _kind(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "a pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a device"


@contextmanager
def _errors_as_sentences(path: Path) -> Iterator[None]:
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
