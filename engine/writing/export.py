"""A draft as the texts that other programs read, and back.

txt           the title, a blank line, the lines; [Verse 1] names a section
markdown      the title and the sections are headings, lines end in hard breaks
lrc           [ti:…], [section:…], and [mm:ss.xx] before a line that has a time
enhanced-lrc  the same, with <mm:ss.xx> before a word that has one
json          everything: who wrote what, locks, times, ids

A line that looks like a mark of its format has a backslash before it, which is taken away on the
way back. Only json says who wrote what, and which lines are locked; only lrc and json have times.
"""

from __future__ import annotations

import html
import itertools
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from engine.errors import DraftError
from engine.writing.draft import Draft, Line, Section, Span, WordStamp

Format = Literal["txt", "markdown", "lrc", "enhanced-lrc", "json"]
SUFFIXES: dict[Format, str] = {
    "txt": ".txt",
    "markdown": ".md",
    "lrc": ".lrc",
    "enhanced-lrc": ".lrc",
    "json": ".json",
}

NAME = "lyricrnn song"
VERSION = 1


@dataclass(frozen=True, slots=True)
class _Document:
    format: str
    version: int
    title: str
    sections: tuple[Section, ...]
    form: str = ""


_DOCUMENT = TypeAdapter(_Document)
_ANY = TypeAdapter(dict[str, Any])

Rows = Iterable["str | Line"]
"""A file's rows in order: the name of a section that begins, or a line."""


def export(draft: Draft, format: Format) -> str:
    """The draft as a text of that format, with `\\n` line ends."""
    match format:
        case "txt":
            rows = _txt(draft)
        case "markdown":
            rows = _markdown(draft)
        case "lrc":
            rows = _lrc(draft, with_words=False)
        case "enhanced-lrc":
            rows = _lrc(draft, with_words=True)
        case "json":
            document = _Document(NAME, VERSION, draft.title, draft.sections, draft.form)
            return _DOCUMENT.dump_json(document, indent=2).decode() + "\n"
    return "\n".join(rows) + "\n"


def imported(text: str, format: Format) -> Draft:
    """The draft that a text of that format holds; what it does not say, a person wrote. Either LRC
    reads both. Tags other than the title and the offset are passed over. Raises DraftError."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    rows = text.removesuffix("\n").split("\n")
    match format:
        case "txt":
            return _from_txt(rows)
        case "markdown":
            return _from_markdown(rows)
        case "lrc" | "enhanced-lrc":
            return _from_lrc(rows)
        case "json":
            return _from_json(text)


def save(text: str, path: Path, *, overwrite: bool = False) -> None:
    """Writes a text to a file, which is whole at any moment. Raises DraftError where there is such
    a file already, unless it may be overwritten, or where it cannot be written."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        if not overwrite:
            _claim(path)
        try:
            with temporary.open("wb", buffering=0) as file:
                view = memoryview(text.encode())
                while view:
                    view = view[os.write(file.fileno(), view) :]
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            if not overwrite:
                path.unlink(missing_ok=True)
            raise
    except FileExistsError:
        raise DraftError(f"{path} exists already: choose another name.") from None
    except OSError as error:
        raise DraftError(f"{path} cannot be written: {error.strerror or error}.") from None


def _claim(path: Path) -> None:
    """Takes a name that is free, and no other process can take it in between."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))


# --- What the formats share ---------------------------------------------------------------------


def _marked(draft: Draft) -> Iterator[str | Line]:
    """The song's lines, a section's name before its first. The first section needs no mark where
    it has lines and no name."""
    for number, section in enumerate(draft.sections):
        if number or section.name or not section.lines:
            yield section.name
        yield from section.lines


def _draft(title: str, rows: Rows) -> Draft:
    """The draft of such rows, its ids counted from 1."""
    ids = itertools.count(1)
    sections: list[tuple[str, list[Line]]] = []
    for row in rows:
        if isinstance(row, str):
            sections.append((row, []))
            continue
        if not sections:
            sections.append(("", []))
        sections[-1][1].append(row)
    return Draft(
        title,
        tuple(
            Section(
                next(ids),
                name,
                tuple(Line(next(ids), o.spans, stamp=o.stamp, words=o.words) for o in lines),
            )
            for name, lines in sections or [("", [])]
        ),
    )


def _line(text: str, stamp: float | None = None, words: tuple[WordStamp, ...] = ()) -> Line:
    return Line(0, (Span(text),), stamp=stamp, words=words)


# --- Plain text ---------------------------------------------------------------------------------

_TXT_MARK = re.compile(r"\[(.*)\]\s*", re.DOTALL)
_TXT_ESCAPED = re.compile(r"\\+\[.*\]\s*", re.DOTALL)


def _txt(draft: Draft) -> Iterator[str]:
    yield _txt_row(draft.title)
    yield ""
    for number, row in enumerate(_marked(draft)):
        if isinstance(row, Line):
            yield _txt_row(row.text)
        else:
            yield from ([""] if number else [])
            yield f"[{row}]"


def _txt_row(text: str) -> str:
    return "\\" + text if re.fullmatch(_TXT_MARK, text.lstrip("\\")) else text


def _from_txt(rows: list[str]) -> Draft:
    title = ""
    if len(rows) > 1 and not rows[1] and not _TXT_MARK.fullmatch(rows[0]):
        title, rows = _from_txt_row(rows[0]), rows[2:]
    found: list[str | Line] = []
    for number, row in enumerate(rows):
        if mark := _TXT_MARK.fullmatch(row):
            if number and not rows[number - 1]:
                found.pop()  # the blank line before a section is its own
            found.append(mark[1])
        else:
            found.append(_line(_from_txt_row(row)))
    return _draft(title, found)


def _from_txt_row(row: str) -> str:
    return row[1:] if _TXT_ESCAPED.fullmatch(row) else row


# --- Markdown (CommonMark) ----------------------------------------------------------------------

_MD_HEADING = re.compile(r"(#{1,6})(?:[ \t]+(.*))?", re.DOTALL)
_MD_MARKS = re.compile(r"[\\`*_\[\]<>&~|#]")
_MD_FIRST = re.compile(r"([0-9]*)([-+=.)])")
_MD_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])|&#x([0-9a-f]{1,5});|(&[a-zA-Z]+;)|\\$")


def _markdown(draft: Draft) -> Iterator[str]:
    if draft.title:
        yield f"# {_markdown_row(draft.title)}"
        yield ""
    rows = list(_marked(draft))
    for number, row in enumerate(rows):
        if isinstance(row, Line):
            after = rows[number + 1] if number + 1 < len(rows) else ""
            broken = row.text and isinstance(after, Line) and after.text
            yield _markdown_row(row.text) + ("\\" if broken else "")
        else:
            yield from ([""] if number else [])
            yield f"## {_markdown_row(row)}".rstrip()
            yield ""


def _markdown_row(text: str) -> str:
    text = _MD_MARKS.sub(r"\\\g<0>", text)
    text = _MD_FIRST.sub(r"\1\\\2", text, count=1) if _MD_FIRST.match(text) else text
    before, after = len(text) - len(text.lstrip()), len(text.rstrip())
    if after <= before:
        return _entities(text)
    return _entities(text[:before]) + text[before:after] + _entities(text[after:])


def _entities(space: str) -> str:
    """Space at the edge of a row, which Markdown would pass over."""
    return "".join(f"&#x{ord(character):x};" for character in space)


def _from_markdown(rows: list[str]) -> Draft:
    title = ""
    found: list[str | Line] = []
    headed = False  # the row before is a heading, which a blank row follows
    blank = False  # the row before is a blank row of the song
    for row in map(str.strip, rows):
        if heading := _MD_HEADING.fullmatch(row):
            if blank:
                found.pop()
            name = _from_markdown_row(heading[2] or "")
            if heading[1] == "#" and not title and not found:
                title = name
            else:
                found.append(name)
            headed, blank = True, False
        else:
            blank = not row and not headed
            if row or blank:
                found.append(_line(_from_markdown_row(row)))
            headed = False
    return _draft(title, found)


def _from_markdown_row(row: str) -> str:
    return _MD_ESCAPED.sub(_unescaped, row)


def _unescaped(found: re.Match[str]) -> str:
    character, code, entity = found.groups()
    return character or (chr(int(code, 16)) if code else html.unescape(entity or ""))


# --- LRC ----------------------------------------------------------------------------------------

_TIME = r"([0-9]{1,4}):([0-9]{1,2})(?::([0-9]{1,2}))?(?:[.,:]([0-9]{1,3}))?"
_STAMP = re.compile(rf"\[{_TIME}\]\s*")
_WORD = re.compile(rf"(?<!\\)(\\*)<{_TIME}>")
_SECTION = re.compile(r"\[section:(.*)\]\s*", re.DOTALL)
_TAG = re.compile(r"\[\s*([^\W\d]\w*|#)\s*:(.*)\]\s*", re.DOTALL)
_LABEL = re.compile(r"\[(.*)\]\s*", re.DOTALL)
_LRC_MARK = re.compile(r"\\*[\[\s]")
_LRC_ESCAPED = re.compile(r"\\+[\[\s]")


def _lrc(draft: Draft, *, with_words: bool) -> Iterator[str]:
    if draft.title:
        yield f"[ti:{draft.title}]"
    for row in _marked(draft):
        if isinstance(row, Line):
            stamp = "" if row.stamp is None else f"[{_clock(row.stamp)}]"
            text = _with_word_stamps(row.text, row.words if with_words else ())
            yield stamp + ("\\" if _LRC_MARK.match(text) else "") + text
        else:
            yield f"[section:{row}]"


def _clock(seconds: float) -> str:
    """mm:ss.xx, to the hundredth of a second."""
    hundredths = min(round(seconds * 100), 10_000 * 6000 - 1)
    return f"{hundredths // 6000:02}:{hundredths // 100 % 60:02}.{hundredths % 100:02}"


def _with_word_stamps(text: str, words: tuple[WordStamp, ...]) -> str:
    """Backslashes before a stamp count in pairs; an odd one more says that it is only text."""
    written = ""
    done = 0
    for place, seconds in words:
        piece = _literal(text[done:place])
        backslashes = len(piece) - len(piece.rstrip("\\"))
        written += piece + "\\" * backslashes + f"<{_clock(seconds)}>"
        done = place
    return written + _literal(text[done:])


def _literal(text: str) -> str:
    return _WORD.sub(lambda found: found[1] * 2 + "\\" + found[0][len(found[1]) :], text)


def _from_lrc(rows: list[str]) -> Draft:
    title, offset = "", 0.0
    found: list[str | Line] = []
    repeated = False
    for row in rows:
        times, rest = _times(row)
        if not times and (section := _SECTION.fullmatch(row)):
            found.append(section[1])
        elif not times and (tag := _TAG.fullmatch(row)):
            if tag[1].lower() == "ti":
                title = title or tag[2]
            elif tag[1].lower() == "offset":
                offset = _offset(tag[2])
        elif not times and (label := _LABEL.fullmatch(row)):
            found.append(label[1])
        else:
            text, words = _words(rest[1:] if _LRC_ESCAPED.match(rest) else rest, offset)
            repeated = repeated or len(times) > 1
            found += [_line(text, _earlier(time, offset), words) for time in times or [None]]
    return _draft(title, _as_sung(found) if repeated else found)


def _times(row: str) -> tuple[list[float | None], str]:
    """The times that a row begins with, and what follows."""
    times: list[float | None] = []
    place = 0
    while stamp := _STAMP.match(row, place):
        times.append(_seconds(stamp.groups()))
        place = stamp.end()
    return times, row[place:]


def _seconds(parts: tuple[str | None, ...]) -> float:
    """mm:ss, mm:ss.xx, mm:ss:xx or hh:mm:ss.xx in seconds."""
    first, second, third, fraction = parts
    hours = "0"
    if third and fraction:
        hours, first, second = first or "0", second, third
    else:
        fraction = fraction or third
    whole = (int(hours) * 60 + int(first or 0)) * 60 + int(second or 0)
    return whole + float(f"0.{fraction or 0}")


def _offset(text: str) -> float:
    """How many seconds earlier the words come, by an offset tag in milliseconds."""
    digits = re.fullmatch(r"\s*([+-]?[0-9]{1,9})\s*", text)
    return int(digits[1]) / 1000 if digits else 0.0


def _earlier(time: float | None, offset: float) -> float | None:
    return None if time is None else max(0.0, time - offset)


def _words(text: str, offset: float) -> tuple[str, tuple[WordStamp, ...]]:
    """The text without its word stamps, and these; of several at one place the last counts."""
    plain = ""
    words: dict[int, float] = {}
    done = 0
    for found in _WORD.finditer(text):
        backslashes, *parts = found.groups()
        plain += text[done : found.start()] + "\\" * (len(backslashes) // 2)
        done = found.end()
        if len(backslashes) % 2:
            plain += found[0][len(backslashes) :]
        else:
            words[len(plain)] = max(0.0, _seconds(tuple(parts)) - offset)
    return plain + text[done:], tuple(words.items())


def _as_sung(rows: list[str | Line]) -> list[str | Line]:
    """A song whose file has each line once, with all its times, in the order of the times. What has
    no time goes with what stands before it, a section's name with what follows."""
    times: list[float] = []
    for row in rows:
        before = times[-1] if times else 0.0
        stamp = None if isinstance(row, str) else row.stamp
        times.append(before if stamp is None else stamp)
    for number in reversed(range(len(rows) - 1)):
        if isinstance(rows[number], str):
            times[number] = times[number + 1]
    order = sorted(range(len(rows)), key=times.__getitem__)
    return [rows[number] for number in order]


# --- JSON ---------------------------------------------------------------------------------------


def _from_json(text: str) -> Draft:
    try:
        facts = _ANY.validate_json(text)
        if facts.get("format") == NAME and facts.get("version") != VERSION:
            raise DraftError(
                f"This song has format {facts.get('version')!a:.40} and this lyricrnn reads "
                f"{VERSION}: open it with a newer one."
            )
        document = _DOCUMENT.validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "its text"
        raise DraftError(f"This is no song of lyricrnn in JSON: {place}: {first['msg']}.") from None
    if document.format != NAME:
        raise DraftError("This is no song of lyricrnn in JSON: choose another file or format.")
    return Draft(document.title, document.sections, document.form).checked()
