"""Archives are read member by member, and what no honest archive holds is refused in a sentence."""

from __future__ import annotations

import copy
import random
import stat
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.corpus import archive
from engine.corpus.archive import Member, members
from engine.errors import CorpusError

LISTED, LOCAL, END = b"PK\1\2", b"PK\3\4", b"PK\5\6"
SONG = "一盏灯 la la\n".encode() * 2000


def wanted(name: str) -> bool:
    return name.lower().endswith((".txt", ".lrc"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "songs.zip"


def pack(path: Path, *names: str | zipfile.ZipInfo, data: bytes = SONG, **options: int) -> Path:
    with zipfile.ZipFile(path, "w", **{"compression": zipfile.ZIP_DEFLATED, **options}) as made:  # type: ignore[arg-type]
        for name in names:
            made.writestr(name, data)
    return path


def change(path: Path, part: bytes, offset: int, value: bytes) -> None:
    """Writes over what follows the last `part` of the file."""
    data = bytearray(path.read_bytes())
    place = data.rindex(part) + offset
    data[place : place + len(value)] = value
    path.write_bytes(data)


def names(path: Path) -> list[str]:
    return [member.name for member in members(path, wanted)]


def content(member: Member) -> bytes:
    with member.open() as file:
        return file.read()


def told(act: Callable[[], object]) -> str:
    """The sentence of the error that `act` ends with."""
    with pytest.raises(CorpusError) as caught:
        act()
    sentence = str(caught.value)
    assert "songs.zip" in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert ": " in sentence, "it says what to do now"
    return sentence


def refused(path: Path) -> str:
    return told(lambda: members(path, wanted))


def damaged(path: Path) -> str:
    (member,) = members(path, wanted)
    return told(lambda: content(member))


def test_members_are_read_in_the_order_of_their_paths(path: Path) -> None:
    pack(path, "b.txt", "a/z.lrc", "a-b.txt", "a.TXT", "cover.jpg", "more.zip", "a/", "灯/夜.txt")
    found = members(path, wanted)
    assert [each.name for each in found] == ["a/z.lrc", "a-b.txt", "a.TXT", "b.txt", "灯/夜.txt"]
    assert [(each.bytes, content(each)) for each in found] == [(len(SONG), SONG)] * 5


def test_hidden_members_are_passed_over(path: Path) -> None:
    pack(
        path, ".a.txt", ".git/a.txt", "a/.b/c.txt", "__MACOSX/._a.txt", "__MACOSX/a.txt", "./d.txt"
    )
    assert names(path) == ["d.txt"]


def test_an_archive_without_texts_has_no_members(path: Path) -> None:
    assert names(pack(path, "a.jpg")) == []
    assert names(pack(path)) == []


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_is_a_file_that_begins_anew(path: Path, method: int) -> None:
    data = bytes(range(256)) * 2000
    (member,) = members(pack(path, "a.txt", data=data, compression=method), wanted)
    with member.open() as file, member.open() as other:
        assert file.read(3) == data[:3]
        assert other.read(5) == data[:5]
        assert file.read(300_000) == data[3:300_003]
        assert file.seek(7) == 7
        assert file.read(10) == data[7:17]
        assert file.seek(-4, 2) == len(data) - 4
        assert file.tell() == len(data) - 4
        assert file.read() == data[-4:]
        assert file.read(1) == b""
        assert file.seek(400_000) == file.tell() == 400_000
        assert file.read(9) == data[400_000:400_009]
    assert content(member) == data


def test_an_archive_behind_something_else_is_read(path: Path) -> None:
    pack(path, "a.txt")
    path.write_bytes(b"#!/bin/sh\n" * 100 + path.read_bytes())
    assert [content(member) for member in members(path, wanted)] == [SONG]


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8"])
def test_a_name_without_the_mark_of_utf8_is_still_shown(path: Path, encoding: str) -> None:
    name = "鄧歗/夜雨.txt".encode(encoding)
    pack(path, "x" * (len(name) - 4) + ".txt")
    path.write_bytes(path.read_bytes().replace(b"x" * (len(name) - 4) + b".txt", name))
    assert names(path) == ["鄧歗/夜雨.txt"]


def test_a_western_name_without_the_mark_of_utf8_is_cp437(path: Path) -> None:
    pack(path, "cafx.txt")
    path.write_bytes(path.read_bytes().replace(b"cafx", b"caf\x82"))
    assert names(path) == ["café.txt"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("/etc/a.txt", "absolute path"),
        ("\\a.txt", "absolute path"),
        ("//server/a.txt", "absolute path"),
        ("C:/a.txt", "absolute path"),
        ("c:a.txt", "absolute path"),
        ("../a.txt", "“..”"),
        ("a/../../b.txt", "“..”"),
        ("a\\..\\b.txt", "“..”"),
        ("./..\\b.txt", "“..”"),
        (".git/../b.txt", "“..”"),
    ],
)
def test_a_name_that_leads_out_of_the_archive_is_refused(path: Path, name: str, words: str) -> None:
    placeholder = "x" * (len(name) - 4) + ".txt"
    pack(path, placeholder, "good.txt")
    path.write_bytes(path.read_bytes().replace(placeholder.encode(), name.encode()))
    sentence = refused(path)
    assert words in sentence
    assert name in sentence


def test_backslashes_of_windows_are_slashes(path: Path) -> None:
    pack(path, "axb.txt")
    path.write_bytes(path.read_bytes().replace(b"axb", b"a\\b"))
    assert names(path) == ["a/b.txt"]


def test_a_name_with_a_nul_or_an_escape_is_told_safely(path: Path) -> None:
    pack(path, "axb\x1b.txt")
    path.write_bytes(path.read_bytes().replace(b"axb", b"a\0b"))
    sentence = refused(path)
    assert "has a NUL in its name" in sentence
    assert "a\\x00b\\x1b.txt" in sentence


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO])
def test_links_and_devices_are_refused(path: Path, kind: int) -> None:
    info = zipfile.ZipInfo("a.txt")
    info.external_attr = (kind | 0o644) << 16
    assert "songs.zip/a.txt is a link or a device" in refused(pack(path, info))


def test_an_encrypted_member_is_refused(path: Path) -> None:
    change(pack(path, "a.txt"), LISTED, 8, b"\1")
    assert "songs.zip/a.txt is encrypted" in refused(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression_is_refused(path: Path, method: int) -> None:
    sentence = refused(pack(path, "a.txt", compression=method))
    assert f"is compressed by method {method}" in sentence


def test_what_is_not_wanted_is_not_judged(path: Path) -> None:
    pack(path, "a.txt")
    pack(path, "a.txt", "z.jpg")
    change(path, LISTED, 8, b"\1")
    assert names(path) == ["a.txt"]


def test_a_bomb_is_refused_before_it_is_unpacked(path: Path) -> None:
    pack(path, "a.txt", data=b"\n" * 2**21)
    assert "songs.zip/a.txt unpacks to more than 200 times its size" in refused(path)


def test_a_small_member_may_be_packed_well(path: Path) -> None:
    pack(path, "a.txt", data=b"\n" * 2**20)
    assert [member.bytes for member in members(path, wanted)] == [2**20]


def test_members_that_are_packed_too_well_together_are_refused(path: Path) -> None:
    pack(path, *(f"{number}.txt" for number in range(2)), data=b"\n" * 2**20)
    assert "songs.zip unpacks to more than 200 times its size (2,097,152 bytes" in refused(path)


def test_bytes_that_many_members_share_are_counted_once(path: Path) -> None:
    """As in a bomb whose members lie over one another, each packed no better than a text."""
    data = random.Random(3).randbytes(2**15).hex().encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a.txt", data)
        (info,) = made.infolist()
        for number in range(1000):
            again = copy.copy(info)
            again.filename = f"{number}.txt"
            made.filelist.append(again)
    assert "songs.zip unpacks to more than 200 times its size" in refused(path)


def test_members_that_come_to_too_much_together_are_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack(path, "a.txt", "b.txt", "c.jpg")
    monkeypatch.setattr(archive, "LARGEST", len(SONG) * 2)
    assert names(path) == ["a.txt", "b.txt"]
    monkeypatch.setattr(archive, "LARGEST", len(SONG) * 2 - 1)
    assert "songs.zip unpacks to" in refused(path)


def test_too_many_members_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack(path, "a.txt", "b.jpg", "c.jpg", data=b"")
    monkeypatch.setattr(archive, "MOST", 3)
    assert names(path) == ["a.txt"]
    monkeypatch.setattr(archive, "MOST", 2)
    assert "songs.zip lists more than the 2 members" in refused(path)


def test_a_list_of_members_that_is_too_long_is_refused(path: Path) -> None:
    pack(path)
    with path.open("r+b") as file:
        file.seek(0)
        end = file.read()
        file.seek(2**26)  # sparse: takes no room
        file.write(end)
    change(path, END, 12, (2**26).to_bytes(4, "little"))
    assert "lists more than the 100,000 members" in refused(path)


@pytest.mark.parametrize("data", [b"", b"la la la", SONG, END, b"PK\3\4" * 20])
def test_what_is_no_archive_is_told(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    assert "songs.zip is no zip archive, or a damaged one" in refused(path)


def test_a_truncated_archive_is_told(path: Path) -> None:
    whole = pack(path, "a.txt", "b.txt").read_bytes()
    path.write_bytes(whole[:-30])
    assert "damaged" in refused(path)


@pytest.mark.parametrize("missing", [True, False])
def test_a_missing_archive_or_a_folder_is_told(path: Path, missing: bool) -> None:
    if not missing:
        path.mkdir()
    assert ("does not exist" if missing else "is a folder") in refused(path)


def test_an_archive_that_is_gone_or_changed_when_it_is_read_is_told(path: Path) -> None:
    (member,) = members(pack(path, "a.txt"), wanted)
    with path.open("r+b") as file:
        file.truncate(100)
    assert "songs.zip/a.txt is damaged" in told(lambda: content(member))
    path.write_bytes(SONG)
    assert "no member begins where it should" in told(lambda: content(member))
    path.unlink()
    assert "does not exist" in told(lambda: content(member))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_is_held_to_what_the_archive_says_of_it(path: Path, method: int) -> None:
    for declared, words in ((len(SONG) - 1, "larger than"), (len(SONG) + 1, "it ends after")):
        pack(path, "a.txt", compression=method)
        change(path, LISTED, 24, declared.to_bytes(4, "little"))
        assert words in damaged(path)
    pack(path, "a.txt", compression=method)
    change(path, LISTED, 16, b"\1\2\3\4")
    assert "checksum" in damaged(path)


def test_bytes_that_do_not_inflate_are_told(path: Path) -> None:
    pack(path, "a.txt")
    change(path, LOCAL, 30 + len("a.txt"), b"\xff" * 20)
    assert "songs.zip/a.txt is damaged" in damaged(path)


def test_a_thousand_members_are_each_opened(path: Path) -> None:
    pack(path, *(f"{number}.txt" for number in range(1000)), data=b"la")
    assert all(content(member) == b"la" for member in members(path, wanted))


@given(st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255))), st.integers(0, 2**16))
def test_any_damage_is_told_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], cut: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "songs.zip"
    data = bytearray(pack(path, "a.txt", "灯.txt", data=b"la la\n" * 9).read_bytes())
    for place, value in changes:
        data[place % len(data)] = value
    path.write_bytes(data[: len(data) - cut % 40])
    with suppress(CorpusError):
        for member in members(path, wanted):
            assert len(content(member)) == member.bytes
