"""Bytes become text with plain line ends, or a sentence that says what they are."""

from __future__ import annotations

import codecs
import encodings.aliases
import io
import pickle
import random
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.corpus.decoding import (
    PIECE,
    SAMPLE,
    USUAL,
    EncodingError,
    UndecodedError,
    candidates,
    choices,
    chunks,
    decode,
    recognise,
)
from engine.errors import CorpusError

SIMPLIFIED = "雨停在旧街的灯下面\n我把你的名字写成一条河\n它慢慢地流，流过今天和明天\n"
TRADITIONAL = "雨停在舊街的燈下面\n我把你的名字寫成一條河\n它慢慢地流，流過今天和明天\n"
JAPANESE = "雨のあとの駅で君を待つ\n小さな声で歌をうたった\nさよならはまだ言わないで\n"
WESTERN = "The café is closed, my señorita,\nand “never” is a naïve word — déjà vu…\n"
PLAIN = "The rain is on the tin roof,\nand I am counting every drop\n"

CODECS = sorted(
    name for name in set(encodings.aliases.aliases.values()) if name not in ("mbcs", "oem")
)
NO_ENCODINGS = ("rot13", "base64", "zlib", "hex", "unicode_escape", "raw_unicode_escape", "idna")
NO_ENCODINGS += ("punycode", "undefined", "utf-7", "klingon", "", "a\0b", "\udcff", "utf-8 ;ls")


class Drops(io.BytesIO):
    """A file that gives a few bytes at a time, as a pipe may."""

    def __init__(self, data: bytes, sizes: random.Random) -> None:
        super().__init__(data)
        self._sizes = sizes

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self._sizes.randint(1, 7))


def refused(data: bytes, declared: str | None = None) -> str:
    """The sentence that `data` is refused with."""
    with pytest.raises(CorpusError) as caught:
        decode(data, "a.txt", declared)
    sentence = str(caught.value)
    assert "a.txt" in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain", "plain"),
        ("春江花月夜".encode(), "春江花月夜"),
        (b"\xef\xbb\xbfmarked", "marked"),
        (b"\xef\xbb\xbf\xef\xbb\xbftwice", "\ufefftwice"),
        (b"\xef\xbb\xbf", ""),
        (b"a\r\nb\r\nc", "a\nb\nc"),
        (b"a\rb\rc", "a\nb\nc"),
        (b"a\r\n\rb\n\r\nc", "a\n\nb\n\nc"),
        ("a\u2028b\x0bc\x85d".encode(), "a\u2028b\x0bc\x85d"),
        (b"", ""),
        (b"a", "a"),
        (b"\r", "\n"),
    ],
)
def test_utf8_is_read_with_plain_line_ends(data: bytes, text: str) -> None:
    decoded = decode(data, "a.txt")
    assert decoded.text == text
    assert decoded.encoding == "utf-8"
    assert decoded.confidence == 1.0


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (SIMPLIFIED, "gb18030"),
        (TRADITIONAL, "big5"),
        (JAPANESE, "shift_jis"),
        (WESTERN, "windows-1252"),
        *((text, "utf-16-le") for text in (SIMPLIFIED, TRADITIONAL, JAPANESE, WESTERN, PLAIN)),
        *((text, "utf-16-be") for text in (SIMPLIFIED, TRADITIONAL, JAPANESE, WESTERN, PLAIN)),
    ],
)
def test_an_encoding_is_recognised_by_its_text(text: str, encoding: str) -> None:
    decoded = decode(text.encode(encoding), "a.txt")
    assert decoded.encoding == encoding
    assert decoded.text == text
    assert 0.9 < decoded.confidence <= 1.0


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_may_be_made_of_ascii_bytes_alone(encoding: str) -> None:
    text = "I said “never…” and you said “again…”\n" * 9
    data = text.encode(encoding)
    assert data.isascii()
    assert decode(data, "a.txt").text == text


def test_latin1_is_read_as_windows_1252_where_the_two_are_equal() -> None:
    text = "Le café est fermé, mon été aussi,\net la forêt est à côté de la mer\n"
    decoded = decode(text.encode("latin-1"), "a.txt")
    assert decoded.text == text
    assert decoded.encoding == "windows-1252"
    assert decoded.confidence > 0.95


def test_latin1_is_only_asked_where_windows_1252_fails() -> None:
    assert "latin-1" not in {each.encoding for each in candidates(WESTERN.encode("cp1252"))}
    named = {each.encoding for each in candidates(("café " * 99 + "\x81").encode("latin-1"))}
    assert "latin-1" in named
    assert "windows-1252" not in named


def test_what_stands_far_behind_plain_ascii_is_recognised() -> None:
    text = "la\n" * SAMPLE + SIMPLIFIED
    decoded = decode(text.encode("gb18030"), "a.txt")
    assert decoded.encoding == "gb18030"
    assert decoded.text == text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", ["", "a", SIMPLIFIED])
def test_a_mark_decides_and_is_taken_away(encoding: str, text: str) -> None:
    decoded = decode("\ufeff".encode(encoding) + text.encode(encoding), "a.txt")
    assert (decoded.text, decoded.encoding, decoded.confidence) == (text, encoding, 1.0)


def test_what_fits_several_encodings_is_asked_about() -> None:
    with pytest.raises(
        EncodingError, match=r"not sure which encoding a b\.txt is in.*: name one, for example"
    ) as e:
        decode(b"\xb0\xae\xc0\xd6\n", "a b.txt")
    found = e.value.candidates
    assert e.value.name == "a b.txt"
    assert [each.confidence for each in found] == sorted(
        (each.confidence for each in found), reverse=True
    )
    assert all(each.encoding in USUAL and 0 <= each.confidence <= 1 for each in found)
    assert sum(each.confidence for each in found) <= 1
    for each in found:
        assert f"{each.encoding} ({each.confidence:.0%})" in str(e.value) or each in found[3:]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("너를 기다리는 밤 창밖에 비가 내린다\n", "euc_kr"), ("Ночью тихо падает снег\n", "cp1251")],
)
def test_an_encoding_that_is_not_guessed_at_is_not_taken_for_another(
    text: str, encoding: str
) -> None:
    data = (text * 30).encode(encoding)
    refused(data)
    assert decode(data, "a.txt", encoding).text == text * 30


def test_one_byte_is_not_enough_to_know_an_encoding() -> None:
    assert "not sure which encoding" in refused(b"\xe9")


UNDECODED = pytest.mark.parametrize(
    "data",
    [b"\xb0\xae\xc0\xd6\n", SIMPLIFIED.encode() + b"\xff", bytes(range(1, 256)) * 9],
    ids=["unsure", "a wrong byte", "binary"],
)


@UNDECODED
def test_each_face_adds_its_own_way_to_name_an_encoding(data: bytes) -> None:
    with pytest.raises(UndecodedError) as caught:
        decode(data, "a{0}.txt")
    assert "--encoding" not in str(caught.value)
    sentence = caught.value.advising("by its key")
    assert sentence.replace(" by its key", "") == str(caught.value)
    assert re.search(r"(name one|encoding( that it is in)?) by its key[,.]", sentence)
    assert sentence.endswith(".")


@UNDECODED
def test_the_error_can_be_sent_to_another_process(data: bytes) -> None:
    with pytest.raises(UndecodedError) as caught:
        decode(data, "a.txt")
    error = caught.value
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert copy.advising("here") == error.advising("here")
    assert getattr(copy, "candidates", None) == getattr(error, "candidates", None)


def test_a_candidate_shows_its_first_lines() -> None:
    best = candidates(("\n \n" + SIMPLIFIED * 99).encode("gb18030"))[0]
    assert best.encoding == "gb18030"
    assert best.preview.startswith("雨停在旧街的灯下面\n我把你的名字写成一条河\n")
    assert len(best.preview) <= 200


def test_a_utf8_text_that_is_cut_is_told() -> None:
    data = SIMPLIFIED.rstrip("\n").encode()
    assert f"ends in the middle of a character (UTF-8, byte {len(data) - 3}" in refused(data[:-1])
    assert "it was cut short" in refused(data[:-2])


def test_one_wrong_byte_in_utf8_is_told_with_its_position() -> None:
    data = SIMPLIFIED.encode()
    sentence = refused(data + b"\xff" + data)
    assert f"a.txt is not UTF-8: byte {len(data)} (0xff, counted from 0)" in sentence


def test_the_byte_is_counted_from_the_files_start_though_a_mark_is_dropped() -> None:
    with pytest.raises(CorpusError, match=r"byte 4 \(0xff"):
        decode(b"\xef\xbb\xbfa\xff", "a.txt")


@pytest.mark.parametrize("before", [0, 1, PIECE - 1, PIECE, 3 * PIECE + 1])
def test_the_position_is_right_in_every_piece(before: int) -> None:
    start = b"a" * before
    assert f"byte {before + 2:,} (0xff" in refused(start + b"\xc3\xa9\xff", "utf-8")
    assert f"byte {before:,} is NUL" in refused(start + b"\0a")
    assert f"byte {before:,} counted" in refused(start + b"\xe6\x98", "utf-8")
    wide = ("爱" * before).encode("utf-16-be")
    assert f"byte {2 * before:,} is NUL" in refused(wide + b"\0\0", "utf-16-be")


@pytest.mark.parametrize(
    "data",
    [
        b"a\0b",
        b"a\0b" * 500,
        b"a\0",
        b"\0",
        b"\0" * 9,
        b"\x7fELF\x02\x01\0\0",
        ("爱\n" * 9 + "\0").encode(),
    ],
)
def test_a_nul_byte_looks_binary(data: bytes) -> None:
    with pytest.raises(CorpusError, match=r"a\.bin looks binary \(byte \d+ is NUL"):
        decode(data, "a.bin")


def test_random_bytes_look_binary() -> None:
    data = random.Random(3).randbytes(5000)
    assert "looks binary" in refused(data)
    assert "looks binary" in refused(data.replace(b"\0", b""))


@pytest.mark.parametrize(
    ("data", "declared", "words"),
    [
        (b"\xff\xfe\xfd", None, "UTF-16-LE, byte 2 counted"),
        (b"a\0b", "utf-16-le", "UTF-16-LE, byte 2 counted"),
        (b"a\0\x00\xd8b\0", "utf-16-le", "byte 2 (0x00, counted from 0)"),
        (b"\xfe\xff\xdc\0\0a", None, "byte 2 (0xdc, counted from 0)"),
        ("爱".encode("gb18030")[:1], "gb18030", "GB18030, byte 0 counted"),
        (SIMPLIFIED.encode("gb18030"), "utf-8", "is not UTF-8: byte 0"),
        (SIMPLIFIED.encode(), "ascii", "is not ASCII: byte 0"),
        (b"\x81", "windows-1252", "is not WINDOWS-1252: byte 0 (0x81"),
    ],
)
def test_what_is_no_text_in_its_encoding_is_told(
    data: bytes, declared: str | None, words: str
) -> None:
    assert words in refused(data, declared)


@pytest.mark.parametrize("declared", NO_ENCODINGS)
def test_what_is_no_encoding_of_text_is_told(declared: str) -> None:
    assert "no encoding of text: name another, such as utf-8" in refused(b"aGk=", declared)


@pytest.mark.parametrize(
    ("declared", "name"),
    [("GBK", "gbk"), ("CP1252", "windows-1252"), ("latin1", "latin-1"), ("UTF8", "utf-8")],
)
def test_an_encoding_may_be_declared_by_any_of_its_names(declared: str, name: str) -> None:
    decoded = decode("é".encode(name), "a.txt", declared)
    assert (decoded.text, decoded.encoding, decoded.confidence) == ("é", name, 1.0)


def test_a_mark_loses_to_what_was_declared_only_if_that_decodes() -> None:
    assert decode(b"\xff\xfea\xe9", "a.txt", "latin-1").text == "ÿþaé"
    assert decode(b"\xff\xfe\x71\x4e", "a.txt", "utf-8").text == "\u4e71"
    assert decode(b"\xfe\xff\x4e\x71", "a.txt", "utf-16").text == "\u4e71"
    assert decode(b"\xef\xbb\xbfa", "a.txt", "utf-8-sig").text == "a"


@given(st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"])))
def test_nothing_else_of_the_text_is_changed(text: str) -> None:
    assert decode(text.encode(), "a.txt").text == text.removeprefix("\ufeff")


@given(st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"])))
def test_every_encoding_gives_its_text_back(text: str) -> None:
    for encoding in (*USUAL, "utf-16", "utf-32-be", "euc_kr", "koi8_r"):
        kept = "".join(each for each in text if _encodes(each, encoding)).lstrip("\ufeff")
        assert decode(kept.encode(encoding), "a.txt", encoding).text == kept


def _encodes(character: str, encoding: str) -> bool:
    try:
        return character.encode(encoding).decode(encoding) == character
    except UnicodeError:
        return False


def chosen_from(data: bytes) -> dict[str, tuple[float, str]]:
    """What a person is given to choose from, in its order: how sure each is, and its preview."""
    found = choices(io.BytesIO(data), "a.txt")
    return {each.encoding: (each.confidence, each.preview) for each in found}


def test_a_person_may_choose_from_every_usual_encoding_that_makes_text() -> None:
    found = chosen_from("la dépêche\n".encode())
    assert list(found) == [name for name in USUAL if name != "latin-1"]
    assert [sure for sure, _ in found.values()] == [1.0] + [0.0] * 6
    assert found["utf-8"][1] == "la dépêche"
    assert found["gb18030"][1] == "la d茅p锚che"
    assert found["windows-1252"][1] == "la dÃ©pÃªche"


@pytest.mark.parametrize(
    ("data", "first"),
    [
        (SIMPLIFIED.encode("gb18030"), "gb18030"),
        ("\ufeffla\n".encode("utf-32-be"), "utf-32-be"),
        ("\ufeff春\n".encode("utf-16-le"), "utf-16-le"),
        (b"la\n" * SAMPLE + SIMPLIFIED.encode("gb18030"), "gb18030"),
    ],
)
def test_the_encoding_that_is_recognised_is_the_first_choice(data: bytes, first: str) -> None:
    found = chosen_from(data)
    assert next(iter(found)) == first
    assert found[first][0] == recognise(io.BytesIO(data), "a.txt").confidence
    assert not found[first][1].startswith("\ufeff")


def test_a_file_that_is_refused_may_be_read_in_an_encoding_that_is_chosen() -> None:
    data = "éééééééé\n".encode() + b"caf\xe9\n"
    assert "is not UTF-8" in refused(data)
    assert chosen_from(data)["windows-1252"][1].endswith("\ncafé")
    assert "utf-8" not in chosen_from(data)


def test_there_is_nothing_to_choose_for_what_is_no_text() -> None:
    with pytest.raises(CorpusError, match=r"a\.txt looks binary"):
        chosen_from(b"\0\1\2" * 99)


@given(st.binary(), st.sampled_from([None, *CODECS]) | st.text())
@example(b"\0", "cp037")
@example(b"+2AA-", "utf_7")
def test_any_bytes_are_a_text_or_a_sentence(data: bytes, declared: str | None) -> None:
    try:
        decoded = decode(data, "a.txt", declared)
    except CorpusError:
        return
    assert not {"\0", "\r"} & set(decoded.text)
    decoded.text.encode()  # fails for a lone surrogate
    codecs.lookup(decoded.encoding)
    assert 0 <= decoded.confidence <= 1


_TEXTS = st.text(st.sampled_from("a\r\n\ufeffé爱君の𠮷\0"), max_size=30)


@given(_TEXTS, st.sampled_from(USUAL), st.binary(max_size=2), st.randoms(use_true_random=False))
def test_where_the_pieces_end_does_not_matter(
    text: str, encoding: str, rest: bytes, sizes: random.Random
) -> None:
    data = "".join(each for each in text if _encodes(each, encoding)).encode(encoding) + rest
    assert _told(Drops(data, sizes), encoding) == _told(io.BytesIO(data), encoding)
    assert _told(Drops(data, sizes), None) == _told(io.BytesIO(data), None)


def _told(file: io.BytesIO, encoding: str | None) -> str:
    try:
        found = recognise(file, "a.txt", encoding)
        return f"{found}{''.join(chunks(file, found.name, 'a.txt'))}"
    except CorpusError as error:
        return str(error)
