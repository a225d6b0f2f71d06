"""Files and folders are read in order, and whatever cannot be read is told in a sentence."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
from pathlib import Path

import pytest

from engine.corpus import formats
from engine.corpus.corpus import Corpus
from engine.corpus.formats import File
from engine.corpus.paths import shown
from engine.errors import CorpusError


def fill(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def read(path: str | Path) -> list[tuple[File, bytes]]:
    """Every file that is found, with its bytes."""
    files = []
    for file in formats.found(path):
        with file.reading() as opened:
            files.append((file, opened.read() + opened.read()))
    return files


def names(folder: Path) -> list[str]:
    return [file.path.relative_to(folder).as_posix() for file, _ in read(folder)]


def told(path: str | Path) -> str:
    """The sentence that `path` is refused with."""
    with pytest.raises(CorpusError) as caught:
        read(path)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert ":" in sentence, "it says what to do now"
    return sentence


def test_a_named_file_is_read_whatever_its_suffix(tmp_path: Path) -> None:
    path = tmp_path / "songs.lyrics"
    path.write_bytes(b"la\r\nla")
    ((file, data),) = read(path)
    assert file.path == path
    assert data == b"la\r\nla"
    assert file.bytes == 6
    with file.reading() as opened:
        while opened.read(1):
            pass
        assert opened.sha256 == hashlib.sha256(data).hexdigest()


def test_a_file_that_shrinks_or_grows_while_it_is_read_is_told(tmp_path: Path) -> None:
    for size in (300_000, 2_000_000):  # a small file would be read at once
        fill(tmp_path, a_txt="la la" * 200_000)
        (file,) = formats.found(tmp_path / "a.txt")
        changed = pytest.raises(CorpusError, match=r"changed while it was read \(1,000,000 bytes")
        with changed, file.reading() as opened:
            assert opened.read(1) == b"l"
            os.truncate(tmp_path / "a.txt", size)
            while opened.read(2**16):
                pass


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path: Path) -> None:
    fill(tmp_path, b_txt="b", a_txt="a", C_TXT="c", deep__er__z_md="z", deep__a_txt="d")
    fill(tmp_path, cover_jpg="no", noext="no", _hidden_txt="no", _git__x_txt="no")
    assert names(tmp_path) == ["C.TXT", "a.txt", "b.txt", "deep/a.txt", "deep/er/z.md"]


def test_a_hidden_folder_is_read_when_it_is_named(tmp_path: Path) -> None:
    fill(tmp_path, _songs__a_txt="a")
    assert names(tmp_path / ".songs") == ["a.txt"]


def test_link_loops_end(tmp_path: Path) -> None:
    fill(tmp_path, a_txt="a", deep__b_txt="b")
    (tmp_path / "deep" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "up.txt").symlink_to(tmp_path, target_is_directory=True)
    assert names(tmp_path) == ["a.txt", "deep/b.txt"]


def test_a_link_that_leads_to_itself_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").symlink_to(tmp_path / "b.txt")
    (tmp_path / "b.txt").symlink_to(tmp_path / "a.txt")
    assert "a.txt cannot be read (Too many levels of symbolic links)" in told(tmp_path / "a.txt")
    assert "cannot be read" in told(tmp_path)


def test_a_file_that_links_lead_to_is_read_once(tmp_path: Path) -> None:
    fill(tmp_path, b_txt="b")
    (tmp_path / "a.txt").symlink_to("b.txt")
    assert names(tmp_path) == ["a.txt"]


def test_a_folder_deeper_than_pythons_recursion_is_read(tmp_path: Path) -> None:
    folders = [tmp_path]
    for _ in range(1200):
        folders.append(folders[-1] / "d")
        folders[-1].mkdir()
    song = folders[-1] / "a.txt"
    song.write_text("deep")
    try:
        assert [data for _, data in read(tmp_path)] == [b"deep"]
    finally:
        song.unlink()
        for folder in reversed(folders[1:]):
            folder.rmdir()


def test_a_pipe_is_refused_without_opening_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.txt")  # opening it would block for ever: nobody writes
    assert "a.txt is a pipe, not a file" in told(tmp_path / "a.txt")
    assert "holds no text files" in told(tmp_path)
    fill(tmp_path, b_txt="b")
    assert names(tmp_path) == ["b.txt"]


def test_a_socket_and_a_device_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path has to be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s.txt")
        assert "s.txt is a socket, not a file" in told("s.txt")
    assert "/dev/zero is a device, not a file" in told("/dev/zero")


@pytest.mark.parametrize("path", ["none.txt", "none/none.txt", "a.txt/b.txt"])
def test_a_missing_file_is_told(path: str, tmp_path: Path) -> None:
    fill(tmp_path, a_txt="a")
    assert f"{path} does not exist: check how it is spelt." in told(tmp_path / path)


def test_a_link_to_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").symlink_to("gone.txt")
    assert "a.txt is a link to a file that does not exist" in told(tmp_path / "a.txt")
    assert "a.txt is a link to a file that does not exist" in told(tmp_path)


def test_a_folder_without_texts_is_told(tmp_path: Path) -> None:
    fill(tmp_path, cover_jpg="no")
    assert "holds no text files: put songs into it as .txt, .md, .lrc" in told(tmp_path)


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 5000])
def test_what_is_no_path_is_told(path: str) -> None:
    told(path)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "permission denied"),
        (FileNotFoundError(errno.ENOENT, "No such file"), "does not exist"),
        (IsADirectoryError(errno.EISDIR, "Is a directory"), "is a folder now"),
        (OSError(errno.EIO, "Input/output error"), "cannot be read (Input/output error)"),
        (OSError(), "cannot be read"),
        (MemoryError(), "does not fit into memory"),
    ],
)
def test_a_file_that_fails_while_it_is_read_is_told(
    error: Exception, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, a_txt="a", b_txt="b")

    def fail(*arguments: object) -> bytes:
        raise error

    monkeypatch.setattr(Path, "open", fail)
    assert words in told(tmp_path / "b.txt")
    assert "a.txt" in told(tmp_path)


def test_a_folder_that_fails_while_it_is_listed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, deep__a_txt="a")
    listed = os.scandir

    def fail(path: Path) -> object:
        if path.name == "deep":
            raise PermissionError(errno.EACCES, "Permission denied")
        return listed(path)

    monkeypatch.setattr(os, "scandir", fail)
    assert "deep may not be read (permission denied): change its permissions." in told(tmp_path)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions do not bind root"
)
def test_a_file_without_permission_is_told(tmp_path: Path) -> None:
    fill(tmp_path, a_txt="a")
    (tmp_path / "a.txt").chmod(0)
    assert "permission denied" in told(tmp_path / "a.txt")


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate(formats.LARGEST + 1)  # sparse: takes no room
    assert "holds 4.0 GiB" in told(tmp_path / "a.txt")
    assert "holds 4.0 GiB" in told(tmp_path)


def test_one_file_of_a_folder_that_is_not_text_is_named(tmp_path: Path) -> None:
    fill(tmp_path, a_txt="a")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(CorpusError, match=r"b\.txt"):
        Corpus.load(tmp_path)


def test_a_name_that_is_not_printable_is_escaped(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\x1b[2J\n.txt")
    assert told(path).startswith(f"{tmp_path}/\\udcff\\x1b[2J\\n.txt does not exist")
    assert shown("春 江.txt") == "春 江.txt"
    Path(path).write_bytes(b"la")
    assert [data for _, data in read(path)] == [b"la"]
    assert len(read(tmp_path)) == 1
