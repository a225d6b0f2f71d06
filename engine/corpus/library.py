"""The collections that ship with lyricrnn, and how a name on the command line becomes a path."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

from engine.corpus.paths import errors_as_sentences, shown
from engine.errors import CorpusError

# `corpora/` stands beside the package `engine`, in the project as in an installation.
FOLDER = Path(__file__).resolve().parents[2] / "corpora"


@dataclass(frozen=True, slots=True)
class ShippedCorpus:
    """A collection that ships; `language` is an ISO 639-1 code, `licence` an SPDX identifier."""

    name: str
    path: Path
    title: str
    language: str
    licence: str
    description: str


def shipped() -> list[ShippedCorpus]:
    """The collections described in `corpora/library.toml` whose text is there, in its order.

    Raises CorpusError for a description that cannot be read.
    """
    catalogue = FOLDER / "library.toml"
    try:
        entries = tomllib.loads(catalogue.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError) as error:
        raise _broken(catalogue, str(error)) from None
    found = [_entry(catalogue, name, fields) for name, fields in entries.items()]
    return [corpus for corpus in found if os.path.exists(corpus.path)]


def resolve(name_or_path: str) -> Path:
    """The path of a shipped collection, of a file or folder that exists, or of a set of the
    catalogue that was fetched.

    A shipped name comes first: a folder of the same name is reached as `./name`. Raises
    CorpusError for what is none of these, and for a path that the system cannot follow.
    """
    collections = shipped()
    for corpus in collections:
        if corpus.name == name_or_path:
            return corpus.path
    path = Path(os.path.expanduser(name_or_path))
    if name_or_path and _exists(path):
        return path
    from engine.corpus import catalogue  # which brings the network's modules

    if any(entry.name == name_or_path for entry in catalogue.entries()):
        if lying := catalogue.fetched(name_or_path):
            return lying
        raise CorpusError(
            f"{name_or_path} is in the catalogue, but not on this machine yet: run `lyricrnn "
            f"corpus fetch {name_or_path}`."
        )
    names = ", ".join(corpus.name for corpus in collections) or "none in this installation"
    raise CorpusError(
        f"“{shown(name_or_path)}” is neither a file or folder nor a shipped collection ({names}): "
        "check how it is spelt."
    )


def default(locale: str) -> ShippedCorpus:
    """The collection to begin with in a locale such as `zh_CN.UTF-8`: Chinese for `zh`, English
    for all others. Raises CorpusError where nothing ships."""
    collections = shipped()
    if not collections:
        raise CorpusError(
            f"No collection ships in {shown(FOLDER)}: install lyricrnn again, or name a text file."
        )
    language = "zh" if locale.lower().startswith("zh") else "en"
    matching = [corpus for corpus in collections if corpus.language == language]
    return (matching or collections)[0]


def _entry(catalogue: Path, name: str, fields: object) -> ShippedCorpus:
    keys = ("file", "title", "language", "licence", "description")
    if not isinstance(fields, dict) or not all(isinstance(fields.get(key), str) for key in keys):
        raise _broken(catalogue, f"[{name}] needs the texts {', '.join(keys)}")
    path = FOLDER / fields["file"]
    return ShippedCorpus(name, path, *(fields[key] for key in keys[1:]))


def _broken(catalogue: Path, why: str) -> CorpusError:
    return CorpusError(
        f"{shown(catalogue)}, which describes the shipped collections, cannot be read ({why}): "
        "install lyricrnn again."
    )


def _exists(path: Path) -> bool:
    """Whether there is something, if only a link to nothing: reading says what is wrong with that.
    Raises CorpusError where the system does not say."""
    with errors_as_sentences(path):
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return os.path.islink(path)
    return True
