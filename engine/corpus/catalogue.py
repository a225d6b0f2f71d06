"""Sets in the public domain that do not ship: what there is, and how one is downloaded so that
what lies there under its name is whole."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import http.client
import io
import os
import re
import ssl
import stat
import string
import time
import tomllib
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self, cast

from engine.corpus import library
from engine.corpus.paths import shown
from engine.errors import CorpusError, LyricError
from engine.places import home

CHUNK = 2**16  # bytes that are held at a time
PAUSES = (0.5, 1.0, 2.0)  # seconds before each new try, until one of them brings something
_MOST_REDIRECTS = 10

# Names of sets and files become paths: nothing in them leads elsewhere or is hidden.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ADDRESS = re.compile(r"https?://[!-~]+")  # ASCII, so that it can be copied into any program
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,15})-[0-9]{1,15}/([0-9]{1,15}|\*)")
_PASSING = {408, 425, 429, 500, 502, 503, 504}  # what a server answers that may answer soon
_REDIRECTS = {301, 302, 303, 307, 308}

_BY_HAND = "download it with another program and name that file instead"
_ELSEWHERE = f"try again later, look for a newer lyricrnn, or {_BY_HAND}"
_AGAIN = "run the same command again, which goes on where it stopped"

Progress = Callable[[int, int], None]


class FetchError(LyricError):
    """A set that could not be downloaded, or could not be written."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a set; `name` is the one it gets here, `sha256` in lower-case hexadecimal."""

    url: str
    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A set; `language` is an ISO 639-1 code, `licence` says in words what is known."""

    name: str
    title: str
    language: str
    licence: str
    description: str
    files: tuple[RemoteFile, ...]

    @property
    def bytes(self) -> int:
        """The size of the whole set."""
        return sum(file.bytes for file in self.files)


# -- what there is --------------------------------------------------------------------------


def entries() -> list[CatalogueEntry]:
    """The sets described in `corpora/catalogue.toml`, in its order; none where it is missing.

    Raises CorpusError for a description that cannot be read.
    """
    path = library.FOLDER / "catalogue.toml"
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError) as error:
        raise _broken(path, str(error)) from None
    return [_entry(path, name, fields) for name, fields in tables.items()]


def fetched(name: str) -> Path | None:
    """Where the set of that name lies in the data directory, None where it is not whole there.
    Its files are read to tell. Raises CorpusError like `entries`."""
    for entry in entries():
        if entry.name == name:
            place, files = _places(entry, _folder())
            return place if all(map(_is_whole, entry.files, files)) else None
    return None


def _entry(path: Path, name: str, fields: object) -> CatalogueEntry:
    keys = ("title", "language", "licence", "description")
    if not _PLAIN_NAME.fullmatch(name):
        raise _broken(path, f"“{shown(name)}” cannot be a file's name")
    if not isinstance(fields, dict) or not all(isinstance(fields.get(key), str) for key in keys):
        raise _broken(path, f"[{name}] needs the texts {', '.join(keys)}")
    tables = fields.get("files")
    if not isinstance(tables, list) or not tables:
        raise _broken(path, f"[{name}] has no files")
    files = tuple(_file(path, name, table) for table in tables)
    if len({file.name for file in files}) < len(files):
        raise _broken(path, f"two files of [{name}] have one name")
    title, language, licence, description = (fields[key] for key in keys)
    return CatalogueEntry(name, title, language, licence, description, files)


def _file(path: Path, name: str, table: object) -> RemoteFile:
    fields = table if isinstance(table, dict) else {}
    url, size = fields.get("url"), fields.get("bytes")
    texts = ((url, _ADDRESS), (fields.get("name"), _PLAIN_NAME), (fields.get("sha256"), _SHA256))
    if not all(isinstance(text, str) and form.fullmatch(text) for text, form in texts):
        raise _broken(path, f"a file of [{name}] needs a url (http or https), a name and a sha256")
    if type(size) is not int or size < 1:
        raise _broken(path, f"a file of [{name}] needs its bytes, a number from 1 up")
    return RemoteFile(cast(str, url), fields["name"], size, fields["sha256"])


def _broken(path: Path, why: str) -> CorpusError:
    return CorpusError(
        f"{shown(path)}, which describes the sets to download, cannot be read ({why}): "
        "install lyricrnn again."
    )


def _folder() -> Path:
    return home() / "corpora"


def _places(entry: CatalogueEntry, folder: Path) -> tuple[Path, list[Path]]:
    """What to name to read a set, and where each of its files lies: one file in the folder
    itself, several in a folder of their own."""
    if len(entry.files) == 1:
        place = folder / entry.files[0].name
        return place, [place]
    place = folder / entry.name
    return place, [place / file.name for file in entry.files]


def _is_whole(file: RemoteFile, path: Path) -> bool:
    """Whether the file's very bytes lie at `path`. What cannot be read is not whole."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size != file.bytes:
            return False
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256
    except OSError:
        return False


# -- downloading ----------------------------------------------------------------------------


def _untold(done: int, total: int) -> None:
    pass


def fetch(
    name: str, folder: Path | None = None, progress: Progress = _untold, *, timeout: float = 30
) -> Path:
    """Downloads a set into `folder` (the data directory) and returns what to name to read it: its
    file, or the folder of its files.

    Files that lie there whole stay; a file is written as `.NAME.part` and gets its name once its
    size and hash are right, and a part that is there is gone on with. `progress` is called with
    the bytes that are there and those of the whole set; the first falls where a server begins
    again. `timeout`, in seconds, is how long a server may be silent. Raises CorpusError for an
    unknown name and FetchError, after which the same call goes on where it stopped.
    """
    entry = _named(name)
    place, paths = _places(entry, folder or _folder())
    done = 0
    with _claimed(paths[0].parent):
        for file, path in zip(entry.files, paths, strict=True):
            if not _lies_there(file, path):
                _download(file, path, timeout, _beyond(done, entry.bytes, progress))
            done += file.bytes
            progress(done, entry.bytes)
    return place


def _beyond(done: int, total: int, progress: Progress) -> Callable[[int], None]:
    """`progress` of a whole set, for the bytes of a file that comes after `done` others."""
    return lambda had: progress(done + had, total)


def _named(name: str) -> CatalogueEntry:
    sets = entries()
    for entry in sets:
        if entry.name == name:
            return entry
    names = ", ".join(entry.name for entry in sets) or "none in this installation"
    raise CorpusError(f"“{shown(name)}” is no set to download ({names}): check how it is spelt.")


def _lies_there(file: RemoteFile, path: Path) -> bool:
    """Whether the file need not be downloaded. What else has its name is not ours to replace: a
    download is never there half, so a person has put or changed it."""
    if not os.path.lexists(path):
        return False
    if _is_whole(file, path):
        return True
    raise FetchError(
        f"{shown(path)} is there already, but is not the file of this set: move it away or delete "
        "it, and run the same command again."
    )


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Makes the folder and keeps other processes from downloading into it."""
    with _errors_as_sentences(folder):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FetchError(
                f"Another process is downloading into {shown(folder)}: wait until it is done."
            ) from None
        except OSError:
            pass  # a file system without locks, where one person's two downloads are unlikely
        yield
    finally:
        os.close(descriptor)


class _Part:
    """The first bytes of a file that is being downloaded, on disk; `size` of them, `digest` their
    SHA-256."""

    def __init__(self, path: Path, most: int) -> None:
        self.path = path
        with _errors_as_sentences(path):
            # Through no link, and of no pipe: what it leads to is not ours to write.
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
            self._file = io.FileIO(descriptor, "r+")
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                self._file.close()
                raise OSError("it is no regular file")
            self.size = status.st_size
            self._digest = hashlib.sha256()
            if self.size > most:
                self.clear()
            elif self.size:
                self._digest = hashlib.file_digest(self._file, "sha256")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Whatever happened, what came stays for the next time."""
        self._file.close()
        if not self.size:
            with contextlib.suppress(OSError):
                self.path.unlink()

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()

    def add(self, data: bytes) -> None:
        with _errors_as_sentences(self.path):
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
        self._digest.update(data)
        self.size += len(data)

    def clear(self) -> None:
        """Begins again with nothing."""
        with _errors_as_sentences(self.path):
            self._file.seek(0)
            self._file.truncate()
        self._digest = hashlib.sha256()
        self.size = 0

    def finish(self, path: Path) -> None:
        """Flushes the whole file and gives it its name."""
        with _errors_as_sentences(path):
            os.fsync(self._file.fileno())
            os.replace(self.path, path)


def _download(file: RemoteFile, path: Path, timeout: float, tell: Callable[[int], None]) -> None:
    """Brings one file to its place; `tell` is told how many of its bytes are there."""
    with _Part(path.with_name(f".{path.name}.part"), file.bytes) as part:
        for _ in range(2):  # the first bytes may have been wrong before this download
            tell(part.size)
            _complete(file, part, timeout, tell)
            if part.digest == file.sha256:
                part.finish(path)
                return
            wrong = part.digest
            part.clear()
    raise FetchError(
        f"{file.url} was downloaded whole twice, but its SHA-256 is {wrong} and should be "
        f"{file.sha256}, so nothing was kept: {_ELSEWHERE}."
    )


class _Broken(Exception):
    """A try that ended too soon; another one may not. `answered`: by a server that is there."""

    def __init__(self, why: str, answered: bool = True) -> None:
        super().__init__(why)
        self.answered = answered


def _complete(file: RemoteFile, part: _Part, timeout: float, tell: Callable[[int], None]) -> None:
    """Adds to a part until it has the file's size: after what breaks off, as often as that brings
    it further than it ever was, and a few times more."""
    begun = furthest = part.size
    failed = 0
    while part.size < file.bytes:
        try:
            _receive(file, part, timeout, tell)
        except _Broken as broken:
            if part.size > furthest:
                furthest, failed = part.size, 0
            if not broken.answered and furthest == begun:
                raise _unreachable(file, str(broken)) from None
            if failed == len(PAUSES):
                raise FetchError(
                    f"{file.url} came only to byte {furthest:,} of {file.bytes:,} ({broken}): "
                    f"{_AGAIN}."
                ) from None
            time.sleep(PAUSES[failed])
            failed += 1


def _receive(file: RemoteFile, part: _Part, timeout: float, tell: Callable[[int], None]) -> None:
    """Adds to a part what one connection brings. A server that does not go on where the part ends
    leaves it empty, to be asked for everything."""
    with _ask(file, part.size, timeout) as response:
        match response.status:
            case 206 if part.size and _goes_on(response, file, part.size):
                pass
            case 206 | 416 if part.size:
                part.clear()
                tell(0)
                return
            case 200:
                length = response.headers.get("Content-Length", "").strip()
                if length not in ("", str(file.bytes)):
                    raise _another(file, f"{shown(length[:20])} bytes")
                part.clear()
                tell(0)
            case status if status in _PASSING:
                raise _Broken(f"the server answered {_status(status)}")
            case status:
                raise FetchError(
                    f"{_host(response.url)} answered {_status(status)} when asked for {file.url}: "
                    f"{_ELSEWHERE}."
                )
        while data := _read(response, file.bytes - part.size + 1):
            if part.size + len(data) > file.bytes:
                part.clear()
                raise _another(file, "more bytes")
            part.add(data)
            tell(part.size)
    if part.size < file.bytes:
        raise _Broken("the connection was cut")


def _goes_on(response: http.client.HTTPResponse, file: RemoteFile, start: int) -> bool:
    """Whether what a server sends are the bytes of the file from `start` on."""
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    return found is not None and int(found[1]) == start and found[2] in ("*", str(file.bytes))


def _read(response: http.client.HTTPResponse, most: int) -> bytes:
    try:
        return response.read1(min(CHUNK, most))
    except http.client.IncompleteRead:
        raise _Broken("the connection was cut") from None
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(_why(error)) from None


def _ask(file: RemoteFile, start: int, timeout: float) -> http.client.HTTPResponse:
    """The answer of the server that a file's address leads to, asked for the bytes from `start`
    on. urllib would follow redirects too, but reads each of them to its end, however long."""
    url = file.url
    for _ in range(_MOST_REDIRECTS + 1):
        response = _open(url, start, timeout)
        if response.status not in _REDIRECTS:
            return response
        with response:
            url = _target(file, url, response.headers.get("Location", ""))
    raise FetchError(
        f"{file.url} leads on from address to address, more than {_MOST_REDIRECTS} times: "
        f"{_ELSEWHERE}."
    )


def _open(url: str, start: int, timeout: float) -> http.client.HTTPResponse:
    """The answer to one request, whatever its status. Only http and https are spoken."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    headers = {"User-Agent": "lyricrnn"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        response = opener.open(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise FetchError(
                f"{_host(url)} cannot prove that it is {_host(url)} ({_why(error.reason)}): check "
                f"this machine's clock and certificates, or {_BY_HAND}."
            ) from None
        raise _Broken(_why(error.reason), answered=False) from None
    except TimeoutError as error:
        raise _Broken(_why(error), answered=False) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _Broken(_why(error)) from None
    return cast(http.client.HTTPResponse, response)


def _target(file: RemoteFile, url: str, location: str) -> str:
    """Where a redirect leads, as an address in ASCII."""
    quoted = urllib.parse.quote(location, safe=string.punctuation, encoding="latin-1")
    try:
        target = urllib.parse.urljoin(url, quoted)
        followed = bool(location) and urllib.parse.urlsplit(target).scheme in ("http", "https")
    except ValueError:
        followed = False
    if not followed:
        raise FetchError(
            f"{file.url} leads to “{shown(location[:200])}”, which is no address of the web: "
            f"{_ELSEWHERE}."
        )
    return target


# -- what went wrong ------------------------------------------------------------------------


def _another(file: RemoteFile, what: str) -> FetchError:
    return FetchError(
        f"{file.url} has {what} where {file.bytes:,} were expected, so it is another file, such "
        f"as the log-in page of a network: {_ELSEWHERE}."
    )


def _unreachable(file: RemoteFile, why: str) -> FetchError:
    return FetchError(
        f"There is no network, or {_host(file.url)} does not answer ({why}) when asked for "
        f"{file.url}: try again later, or {_BY_HAND}."
    )


def _host(url: str) -> str:
    return shown((urllib.parse.urlsplit(url).hostname or url)[:100])


def _status(status: int) -> str:
    """A status and its usual words; those of the server could be anything."""
    return f"{status} {http.client.responses.get(status, '')}".strip()


def _why(error: object) -> str:
    """What an error says, cut and escaped: some of it may be a server's."""
    return shown((getattr(error, "strerror", None) or str(error) or type(error).__name__)[:100])


@contextmanager
def _errors_as_sentences(path: Path) -> Iterator[None]:
    """Turns what the system says against writing `path` into a FetchError."""
    try:
        yield
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise FetchError(
                f"There is no room left for {shown(path)}: make some and {_AGAIN}."
            ) from None
        raise FetchError(
            f"{shown(path)} cannot be written ({_why(error)}): mend that, or set LYRICRNN_HOME to "
            "another folder."
        ) from None
