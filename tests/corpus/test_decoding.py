"""Bytes become text with plain line ends, or a sentence that says what they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.corpus.decoding import decode
from engine.errors import CorpusError


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain", "plain"),
        ("春江花月夜".encode(), "春江花月夜"),
        (b"\xef\xbb\xbfmarked", "marked"),
        (b"\xef\xbb\xbf\xef\xbb\xbftwice", "\ufefftwice"),
        (b"a\r\nb\r\nc", "a\nb\nc"),
        (b"a\rb\rc", "a\nb\nc"),
        (b"a\r\n\rb\n\r\nc", "a\n\nb\n\nc"),
        ("a\u2028b\x0bc\x85d".encode(), "a\u2028b\x0bc\x85d"),
        (b"", ""),
    ],
)
def test_utf8_is_read_with_plain_line_ends(data: bytes, text: str) -> None:
    decoded = decode(data, "a.txt")
    assert decoded.text == text
    assert decoded.encoding == "utf-8"
    assert decoded.confidence == 1.0


def test_another_encoding_is_told_with_the_byte_and_the_remedy() -> None:
    with pytest.raises(CorpusError, match=r"a b\.txt is not UTF-8: byte 3 \(0xb0.*iconv.*'a b.txt"):
        decode(b"abc" + "爱".encode("gb18030"), "a b.txt")


def test_the_byte_is_counted_from_the_files_start_though_a_mark_is_dropped() -> None:
    with pytest.raises(CorpusError, match=r"byte 4 \(0xff"):
        decode(b"\xef\xbb\xbfa\xff", "a.txt")


@pytest.mark.parametrize(
    ("mark", "encoding", "name"),
    [
        (b"\xff\xfe", "utf-16-le", "UTF-16"),
        (b"\xfe\xff", "utf-16-be", "UTF-16"),
        (b"\xff\xfe\0\0", "utf-32-le", "UTF-32"),
        (b"\0\0\xfe\xff", "utf-32-be", "UTF-32"),
    ],
)
def test_a_foreign_mark_is_named(mark: bytes, encoding: str, name: str) -> None:
    with pytest.raises(CorpusError, match=f"byte order mark of {name}.*iconv -f {name} -t UTF-8"):
        decode(mark + "song".encode(encoding), "a.txt")


@pytest.mark.parametrize("data", [b"a\0b", b"\x7fELF\x02\x01\0\0", "song".encode("utf-16-le")])
def test_a_nul_byte_looks_binary(data: bytes) -> None:
    with pytest.raises(CorpusError, match=r"a\.bin looks binary \(byte \d+ is NUL"):
        decode(data, "a.bin")


@given(st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"])))
def test_nothing_else_of_the_text_is_changed(text: str) -> None:
    assert decode(text.encode(), "a.txt").text == text.removeprefix("\ufeff")
