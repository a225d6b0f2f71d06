"""Sets are downloaded whole, over a connection that breaks and from servers that lie, or a
sentence says what to do."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.corpus import catalogue, library
from engine.corpus.catalogue import FetchError, entries, fetch, fetched
from engine.errors import CorpusError

BODY = b"".join(b"line %06d of a song\n" % number for number in range(10_000))
SHARED = Path(__file__).parents[3] / "shared/corpora"

# -- a server that does as it is told -----------------------------------------------------------

Answer = Callable[["Handler"], None]


class Server(ThreadingHTTPServer):
    """Answers each request with the next of `answers`, then with `BODY`; notes what it is asked:
    the path and the Range."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[Answer] = []
        self.asked: list[tuple[str, str | None]] = []
        self.released = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """A client that leaves is no failure of a test."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["Range"]))
        answer = self.server.answers.pop(0) if self.server.answers else serve(BODY)
        answer(self)

    def log_message(self, *_: object) -> None:
        pass

    @property
    def start(self) -> int:
        """Where the bytes that are asked for begin."""
        return int(re.sub(r"\D", "", self.headers["Range"] or "0"))

    def head(self, status: int, **fields: object) -> None:
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()


def serve(body: bytes, most: int | None = None, ranges: bool = True) -> Answer:
    """The body from where it is asked for, cut off after `most` bytes."""

    def answer(handler: Handler) -> None:
        start = handler.start if ranges else 0
        span = f"bytes {start}-{len(body) - 1}/{len(body)}"
        if start:
            handler.head(206, Content_Range=span, Content_Length=len(body) - start)
        else:
            handler.head(200, Content_Length=len(body))
        handler.wfile.write(body[start:][:most])

    return answer


def status(code: int, **fields: object) -> Answer:
    return lambda handler: handler.head(code, **fields)


def raw(data: bytes) -> Answer:
    def answer(handler: Handler) -> None:
        handler.wfile.write(data)

    return answer


def stalled(handler: Handler) -> None:
    """Half of what is asked for, then nothing."""
    handler.head(200, Content_Length=len(BODY))
    handler.wfile.write(BODY[: len(BODY) // 2])
    handler.server.released.wait()


def silent(handler: Handler) -> None:
    handler.server.released.wait()


@pytest.fixture(scope="module")
def the_server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server(the_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The server, behind a catalogue of one set, `songs`, with one file."""
    the_server.answers.clear()
    the_server.asked.clear()
    the_server.released.clear()
    monkeypatch.setattr(catalogue, "PAUSES", (0, 0, 0))
    monkeypatch.setattr(library, "FOLDER", tmp_path / "library")
    monkeypatch.setenv("LYRICRNN_HOME", str(tmp_path / "home"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    describe(songs=[remote(f"{the_server.address}/songs.txt")])
    yield the_server
    the_server.released.set()


def remote(url: str, name: str = "songs.txt", body: bytes = BODY, **others: object) -> object:
    digest = hashlib.sha256(body).hexdigest()
    return {"url": url, "name": name, "bytes": len(body), "sha256": digest, **others}


def describe(**sets: object) -> None:
    """Writes the catalogue; what is a list is the files of a set."""
    library.FOLDER.mkdir(exist_ok=True)
    lines = []
    for name, files in sets.items():
        lines += [f"[{name}]", 'title = "T"', 'language = "en"', 'licence = "L"']
        lines += ['description = "D"']
        if isinstance(files, list):
            for file in files:
                lines.append(f"[[{name}.files]]")
                lines += [f"{key} = {json.dumps(value)}" for key, value in file.items()]
        else:
            lines.append(f"files = {json.dumps(files)}")
    (library.FOLDER / "catalogue.toml").write_text("\n".join(lines))


def refused(name: str = "songs", folder: Path | None = None, timeout: float = 30) -> str:
    """The sentence that a download ends with."""
    with pytest.raises(FetchError) as caught:
        fetch(name, folder, timeout=timeout)
    assert caught.value.exit_status == 1
    sentence = str(caught.value)
    assert sentence.isprintable()
    assert sentence.endswith(".")
    assert ":" in sentence, "it says what to do now"
    return sentence


def part(tmp_path: Path) -> Path:
    return tmp_path / "home/corpora/.songs.txt.part"


def begin(tmp_path: Path, data: bytes) -> None:
    """Leaves a part as an earlier download would."""
    part(tmp_path).parent.mkdir(parents=True)
    part(tmp_path).write_bytes(data)


def lies(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# -- what there is ------------------------------------------------------------------------------


def test_the_catalogue_names_its_sets_and_where_they_come_from() -> None:
    sets = {entry.name: entry for entry in entries()}
    assert list(sets) == [
        "tinyshakespeare",
        "time-machine",
        "song-ci",
        "yuan-qu",
        "shijing",
        "tang-300",
    ]
    shipped = {corpus.name for corpus in library.shipped()}
    for entry in sets.values():
        assert entry.name not in shipped
        assert entry.language in ("en", "zh")
        assert "public domain" in entry.licence
        for file in entry.files:
            pinned = re.search("raw.githubusercontent.com/[^/]+/[^/]+/[0-9a-f]{40}/", file.url)
            assert pinned or entry.name == "time-machine"
    assert len(sets["song-ci"].files) == 23
    assert sets["song-ci"].bytes == sum(file.bytes for file in sets["song-ci"].files)


def test_tiny_shakespeare_is_the_text_that_everyone_reports_on() -> None:
    path = SHARED / "tinyshakespeare.txt"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    (file,) = entries()[0].files
    assert file.bytes == path.stat().st_size
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_without_a_catalogue_there_are_no_sets(server: Server) -> None:
    (library.FOLDER / "catalogue.toml").unlink()
    assert entries() == []
    assert fetched("songs") is None
    with pytest.raises(CorpusError, match="none in this installation"):
        fetch("songs")


URL = "http://example.org/a.txt"


@pytest.mark.parametrize(
    "files",
    [
        [],
        {},
        "a.txt",
        [remote("file:///etc/passwd")],
        [remote("ftp://example.org/a.txt")],
        [remote("http://example.org/宋词")],
        [remote("http://example.org/a b")],
        [remote(URL, "../a.txt")],
        [remote(URL, "a/b.txt")],
        [remote(URL, ".hidden")],
        [remote(URL, "")],
        [remote(URL), remote(URL)],
        [remote(URL, bytes=0)],
        [remote(URL, bytes=-1)],
        [remote(URL, bytes=True)],
        [remote(URL, bytes="9")],
        [remote(URL, sha256="0" * 63)],
        [remote(URL, sha256="G" * 64)],
        [{"url": URL}],
    ],
)
def test_files_that_cannot_be_fetched_are_told(server: Server, files: object) -> None:
    describe(songs=files)
    with pytest.raises(CorpusError, match=r"catalogue\.toml.*cannot be read.*install lyricrnn"):
        entries()


@pytest.mark.parametrize(
    "text", ["[", "x = 1", "[a]\ntitle = 1", "['../a']", "x = " + "[" * 100_000, "\0"]
)
def test_a_broken_catalogue_is_told(server: Server, text: str) -> None:
    (library.FOLDER / "catalogue.toml").write_text(text)
    with pytest.raises(CorpusError, match=r"catalogue\.toml.*cannot be read.*install lyricrnn"):
        fetch("songs")


def test_an_unknown_name_is_told_with_those_there_are(server: Server) -> None:
    with pytest.raises(CorpusError, match=r"“so\\nng” is no set to download \(songs\)"):
        fetch("so\nng")
    assert fetched("so\nng") is None
    assert server.asked == []


def test_importing_is_light() -> None:
    code = (
        "import engine.corpus.catalogue, sys\n"
        "print([m for m in ('torch', 'numpy', 'pydantic') if m in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert ran.stdout == "[]\n"


# -- a download that goes well ------------------------------------------------------------------


def test_a_file_is_downloaded_once(server: Server, tmp_path: Path) -> None:
    assert fetched("songs") is None
    path = fetch("songs")
    assert path == tmp_path / "home/corpora/songs.txt" == fetched("songs")
    assert path.read_bytes() == BODY
    assert lies(path.parent) == ["songs.txt"]
    assert fetch("songs") == path
    assert server.asked == [("/songs.txt", None)]


def test_a_set_of_several_files_lies_in_a_folder(server: Server, tmp_path: Path) -> None:
    texts = {f"{name}.json": BODY[: 1000 * size] for name, size in (("a", 1), ("b", 2), ("c", 3))}
    describe(ci=[remote(f"{server.address}/{name}", name, text) for name, text in texts.items()])
    server.answers = [serve(texts["a.json"]), status(404)]
    refused("ci", tmp_path / "to")
    assert fetched("ci") is None
    server.answers = [serve(texts["b.json"]), serve(texts["c.json"])]
    told: list[tuple[int, int]] = []
    folder = fetch("ci", tmp_path / "to", lambda *figures: told.append(figures))
    assert folder == tmp_path / "to/ci"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == texts
    assert [path for path, _ in server.asked] == ["/a.json", "/b.json", "/b.json", "/c.json"]
    assert told == sorted(told)
    assert told[-1] == (6000, 6000)
    assert {total for _, total in told} == {6000}


def test_a_connection_that_is_cut_is_gone_on_with(server: Server) -> None:
    server.answers = [serve(BODY, 70_000), serve(BODY, 50_000)]
    told: list[tuple[int, int]] = []
    assert fetch("songs", progress=lambda *figures: told.append(figures)).read_bytes() == BODY
    assert [span for _, span in server.asked] == [None, "bytes=70000-", "bytes=120000-"]
    assert told == sorted(told)
    assert told[-1] == (len(BODY), len(BODY))


def test_a_download_that_was_interrupted_goes_on_where_it_stopped(
    server: Server, tmp_path: Path
) -> None:
    def interrupt(done: int, _: int) -> None:
        if done > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch("songs", progress=interrupt)
    there = part(tmp_path).stat().st_size
    assert there > 100_000
    assert fetched("songs") is None
    assert fetch("songs").read_bytes() == BODY
    assert server.asked[1:] == [("/songs.txt", f"bytes={there}-")]


def test_a_part_that_is_whole_needs_no_server(server: Server, tmp_path: Path) -> None:
    begin(tmp_path, BODY)
    assert fetch("songs").read_bytes() == BODY
    assert server.asked == []


@pytest.mark.parametrize(
    "answer",
    [
        serve(BODY, ranges=False),
        status(416, Content_Range=f"bytes */{len(BODY)}"),
        status(206),
        status(206, Content_Range=f"bytes 0-{len(BODY) - 1}/{len(BODY)}"),
        status(206, Content_Range=f"bytes 999-{len(BODY) - 1}/{len(BODY)}"),
        status(206, Content_Range="bytes 1000-2000/2001"),
        status(206, Content_Range="lines 1000-2000/*"),
    ],
)
def test_a_server_that_does_not_go_on_is_asked_for_everything(
    server: Server, tmp_path: Path, answer: Answer
) -> None:
    begin(tmp_path, BODY[:1000])
    server.answers = [answer]
    assert fetch("songs").read_bytes() == BODY
    assert server.asked[0] == ("/songs.txt", "bytes=1000-")
    assert all(span is None for _, span in server.asked[1:])


@pytest.mark.parametrize("data", [b"x" * 1000, b"x" * len(BODY), BODY + b"x", b""])
def test_a_part_of_something_else_is_replaced(server: Server, tmp_path: Path, data: bytes) -> None:
    begin(tmp_path, data)
    assert fetch("songs").read_bytes() == BODY
    assert server.asked[-1] == ("/songs.txt", None)


def test_an_overloaded_server_is_asked_again(server: Server) -> None:
    server.answers = [status(503), status(429), serve(BODY)]
    assert fetch("songs").read_bytes() == BODY


def test_bytes_without_a_length_are_read_to_their_end(server: Server) -> None:
    def chunked(handler: Handler) -> None:
        handler.protocol_version = "HTTP/1.1"
        handler.head(200, Transfer_Encoding="chunked")
        for start in range(0, len(BODY), 50_000):
            piece = BODY[start : start + 50_000]
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n")

    server.answers = [raw(b"HTTP/1.1 200 OK\r\n\r\n" + BODY[:5000]), status(416), chunked]
    assert fetch("songs").read_bytes() == BODY
    assert len(server.asked) == 3


Trouble = st.sampled_from(["cut", "over", "416", "500", "short range", "garbage"])


@settings(deadline=None, max_examples=40)
@given(
    troubles=st.lists(st.tuples(Trouble, st.integers(0, len(BODY))), max_size=8),
    there=st.integers(0, len(BODY) + 10),
)
def test_through_any_trouble_the_bytes_are_right(
    the_server: Server, troubles: list[tuple[str, int]], there: int
) -> None:
    def answer(trouble: str, size: int) -> Answer:
        def short(handler: Handler) -> None:
            end = min(len(BODY), handler.start + size // 4 + 1)
            piece = BODY[handler.start : end]
            span = f"bytes {handler.start}-{end - 1}/*"
            handler.head(206, Content_Range=span, Content_Length=len(piece))
            handler.wfile.write(piece)

        return {
            "cut": serve(BODY, size),
            "over": serve(BODY, size, ranges=False),
            "416": status(416),
            "500": status(500),
            "short range": short,
            "garbage": raw(BODY[:size]),
        }[trouble]

    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as name:
        patch.setattr(catalogue, "PAUSES", (0, 0, 0))
        patch.setattr(library, "FOLDER", Path(name) / "library")
        patch.setenv("no_proxy", "127.0.0.1")
        describe(songs=[remote(f"{the_server.address}/songs.txt")])
        the_server.answers = [answer(*trouble) for trouble in troubles]
        folder = Path(name)
        (folder / ".songs.txt.part").write_bytes((BODY + b"x" * 10)[:there])
        tries = 0
        while True:
            try:
                path = fetch("songs", folder)
                break
            except FetchError:
                tries += 1
                assert tries <= len(troubles)
                assert not (folder / "songs.txt").exists()
        assert path.read_bytes() == BODY
        assert not (folder / ".songs.txt.part").exists()


# -- redirects ----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_followed(server: Server, code: int) -> None:
    quoted = "/宋 词?a=%20".encode().decode("latin-1")
    server.answers = [
        status(code, Location="elsewhere/songs"),
        status(code, Location=f"{server.address}/last"),
        status(code, Location=quoted),
        serve(BODY, 70_000),
    ]
    assert fetch("songs").read_bytes() == BODY
    assert [path for path, _ in server.asked] == [
        "/songs.txt",
        "/elsewhere/songs",
        "/last",
        "/%E5%AE%8B%20%E8%AF%8D?a=%20",
        "/songs.txt",
    ]
    assert server.asked[-1][1] == "bytes=70000-"


def test_ten_redirects_are_followed_and_no_more(server: Server) -> None:
    server.answers = [status(302, Location=f"/{number}") for number in range(10)]
    assert fetch("songs").read_bytes() == BODY
    (path,) = (library.FOLDER.parent / "home/corpora").iterdir()
    path.unlink()
    server.asked.clear()
    server.answers = [status(302, Location="/songs.txt") for _ in range(20)]
    assert "from address to address, more than 10 times" in refused()
    assert len(server.asked) == 11


@pytest.mark.parametrize(
    "location", ["{file}", "ftp://127.0.0.1/a", "data:,a", "javascript:a", "http://[a", "", None]
)
def test_redirects_lead_nowhere_but_the_web(
    server: Server, tmp_path: Path, location: str | None
) -> None:
    (tmp_path / "secret").write_bytes(BODY)
    target = (tmp_path / "secret").as_uri() if location == "{file}" else location
    server.answers = [status(302, **({} if target is None else {"Location": target}))]
    assert "which is no address of the web" in refused()
    assert len(server.asked) == 1
    assert lies(tmp_path / "home/corpora") == []


@pytest.mark.parametrize("location", ["http:///a", "http://a..b/", "http://a:b/", "http://\x80/"])
def test_redirects_to_no_server_are_told(server: Server, location: str) -> None:
    server.answers = [status(302, Location=location) for _ in range(20)]
    refused()


def test_what_a_redirect_says_beside_is_not_read(server: Server) -> None:
    def endless(handler: Handler) -> None:
        handler.head(302, Location="/there")
        while True:
            handler.wfile.write(BODY)

    server.answers = [endless]
    assert fetch("songs").read_bytes() == BODY


# -- a download that goes wrong -----------------------------------------------------------------


def test_wrong_bytes_are_tried_once_more_from_the_start(server: Server, tmp_path: Path) -> None:
    begin(tmp_path, BODY[:1000])
    wrong = BODY[:-1] + b"!"
    server.answers = [serve(wrong)]
    assert fetch("songs").read_bytes() == BODY
    assert [span for _, span in server.asked] == ["bytes=1000-", None]


def test_bytes_that_stay_wrong_are_told_with_both_hashes(server: Server, tmp_path: Path) -> None:
    wrong = BODY[:-1] + b"!"
    server.answers = [serve(wrong), serve(wrong)]
    sentence = refused()
    assert hashlib.sha256(wrong).hexdigest() in sentence
    assert hashlib.sha256(BODY).hexdigest() in sentence
    assert f"{server.address}/songs.txt" in sentence
    assert len(server.asked) == 2
    assert lies(tmp_path / "home/corpora") == []


@pytest.mark.parametrize("body", [b"<html>log in</html>", BODY + b"!"])
def test_another_size_is_told_before_anything_is_lost(
    server: Server, tmp_path: Path, body: bytes
) -> None:
    begin(tmp_path, BODY[:1000])
    server.answers = [serve(body, ranges=False)]
    assert f"has {len(body)} bytes where {len(BODY):,} were expected" in refused()
    assert part(tmp_path).read_bytes() == BODY[:1000]


def test_more_bytes_than_there_should_be_are_refused_as_they_come(
    server: Server, tmp_path: Path
) -> None:
    def endless(handler: Handler) -> None:
        handler.head(200)
        while True:
            handler.wfile.write(BODY)

    server.answers = [endless]
    told: list[int] = []
    with pytest.raises(FetchError, match="has more bytes where"):
        fetch("songs", progress=lambda done, _: told.append(done))
    assert max(told) <= len(BODY)
    assert lies(tmp_path / "home/corpora") == []


@pytest.mark.parametrize("code", [204, 304, 400, 401, 403, 404, 410, 501, 999])
def test_a_server_that_refuses_is_asked_once(server: Server, code: int) -> None:
    server.answers = [status(code)]
    assert re.search(rf"127\.0\.0\.1 answered {code}\b.*songs\.txt", refused())
    assert len(server.asked) == 1


def test_a_server_in_trouble_is_given_up_in_the_end(server: Server, tmp_path: Path) -> None:
    begin(tmp_path, BODY[:1000])
    server.answers = [status(500) for _ in range(50)]
    sentence = refused()
    assert "500 Internal Server Error" in sentence
    assert "byte 1,000 of" in sentence
    assert "run the same command again, which goes on where it stopped" in sentence
    assert 1 < len(server.asked) < 10
    assert part(tmp_path).read_bytes() == BODY[:1000]


def test_tries_end_only_when_they_bring_nothing(server: Server, tmp_path: Path) -> None:
    server.answers = [serve(BODY, 5000) for _ in range(20)] + [serve(BODY, 0) for _ in range(20)]
    assert "byte 100,000 of" in refused()
    assert part(tmp_path).read_bytes() == BODY[:100_000]


def test_a_server_that_begins_again_each_time_is_given_up(server: Server) -> None:
    server.answers = [serve(BODY, 5000, ranges=False) for _ in range(50)]
    assert "byte 5,000 of" in refused()
    assert len(server.asked) < 10


def test_a_server_that_falls_silent_is_told(server: Server, tmp_path: Path) -> None:
    server.answers = [stalled, *[silent] * 20]
    sentence = refused(timeout=0.2)
    assert "timed out" in sentence
    assert "goes on where it stopped" in sentence
    assert part(tmp_path).read_bytes() == BODY[: len(BODY) // 2]


def told_of_no_network(sentence: str) -> None:
    assert sentence.startswith("There is no network, or ")
    assert "songs.txt: try again later, or download it with another program" in sentence


def test_a_server_that_never_answers_is_told(server: Server, tmp_path: Path) -> None:
    server.answers = [silent]
    told_of_no_network(refused(timeout=0.2))
    assert len(server.asked) == 1
    assert lies(tmp_path / "home/corpora") == []


def test_a_port_that_refuses_is_told(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    describe(songs=[remote(f"http://127.0.0.1:{port}/songs.txt")])
    told_of_no_network(refused())


def test_a_name_that_is_not_found_is_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    describe(songs=[remote("https://example.org/songs.txt")])
    told_of_no_network(sentence := refused())
    assert "example.org does not answer (Name or service not known)" in sentence


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0\xff" * 100,
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 " + b"\x1b[31m" * 99 + b"\r\nContent-Length: \x1b[2J\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: " + b"b" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 10_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 70_000,
        b"HTTP/1.1 302 \x1b\r\nLocation: \x1b[2J:\r\n\r\n",
    ],
)
def test_an_answer_that_makes_no_sense_is_told(server: Server, answer: bytes) -> None:
    server.answers = [raw(answer) for _ in range(20)]
    refused()


# -- the disk -----------------------------------------------------------------------------------


def test_what_has_the_files_name_already_stays(server: Server, tmp_path: Path) -> None:
    mine = tmp_path / "songs.txt"
    for put in (lambda: mine.write_text("mine"), lambda: mine.mkdir(), lambda: os.mkfifo(mine)):
        put()
        assert "is there already, but is not the file of this set" in refused(folder=tmp_path)
        assert mine.exists()
        if mine.is_dir():
            mine.rmdir()
        else:
            mine.unlink()
    mine.symlink_to("nowhere")
    refused(folder=tmp_path)
    assert server.asked == []


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_part_is_written_to_a_regular_file_only(
    server: Server, tmp_path: Path, kind: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    part(tmp_path).parent.mkdir(parents=True)
    match kind:
        case "link":
            part(tmp_path).symlink_to(victim)
        case "pipe":
            os.mkfifo(part(tmp_path))
        case "folder":
            part(tmp_path).mkdir()
    assert "cannot be written" in refused()
    assert victim.read_text() == "mine"
    assert server.asked == []


@pytest.mark.parametrize("name", ["file/below", "file", "a\0b", "x" * 300])
def test_a_folder_that_cannot_be_is_told(server: Server, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refused(folder=tmp_path / name)


def test_a_disk_that_takes_no_more_is_told(server: Server, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        sentence = refused()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot be written (File too large)" in sentence
    assert part(tmp_path).read_bytes() == BODY[:100_000]
    assert fetch("songs").read_bytes() == BODY
    assert server.asked[-1][1] == "bytes=100000-"


def test_a_full_disk_is_told(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert "There is no room left for" in refused()
    assert fetch("songs").read_bytes() == BODY
    assert len(server.asked) == 1


def test_one_process_downloads_into_a_folder_at_a_time(server: Server, tmp_path: Path) -> None:
    other = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    assert "Another process is downloading into" in refused(folder=tmp_path)
    os.close(other)
    assert fetch("songs", tmp_path).read_bytes() == BODY


def test_what_was_changed_since_is_not_whole(server: Server) -> None:
    path = fetch("songs")
    path.write_bytes(BODY[:-1] + b"!")
    assert fetched("songs") is None
