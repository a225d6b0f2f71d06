"""Songs as people keep them → songs to learn from: each step counted and told, and all but that of
the line ends optional.

The steps look at lines. Which lines a step may concern is found for many lines at once, by the
characters that mark them; only those few lines are then read by regular expressions.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from engine.config import CorpusConfig
from engine.corpus.decoding import with_plain_line_ends
from engine.corpus.text import code_points

STEPS = {
    "line_ends": "line ends of other systems",
    "trailing_space": "lines with space at their end",
    "blank_lines": "blank lines too many",
    "credits": "credit lines",
    "labels": "section labels",
    "repeats": "repeat marks",
    "duplicates": "copies of a song",
}
"""What is counted, in words that follow a number."""

# Who did what: "作词：…", "Lyrics by: …". In Chinese a role may stand alone ("词：…").
_CREDIT = re.compile(
    r"""\s*(?:
        (?:作|填|原)?[词詞](?:曲)?(?:作者)?|(?:作|谱|譜|原)?曲(?:作者)?|作[词詞]\s*[/、&]\s*作?曲
        |[编編]曲|[演原主翻]唱|歌手|和[声聲]|合[声聲]|混音|母[带帶]|[录錄]音(?:室|棚|[师師])?|制作人?|[制製]作公司
        |[监監][制製]|出品(?:人|公司)?|[发發]行|吉他|[贝貝]斯|鼓|[键鍵][盘盤]|[钢鋼]琴|弦[乐樂]|[统統][筹籌]|企[划劃]|封面
        |(?:lyrics?|words|music|written|composed|arranged|produced|performed|mixed|mastered|recorded)
         (?:\s+(?:and|&)\s+\w+)?(?:\s+by)?
        |lyricist|composer|arranger|producer|singer|vocals?|artist|guitars?|bass|drums|piano
        |copyright|publisher
    )\s*[:：]\s*\S""",
    re.VERBOSE | re.IGNORECASE,
)
_LONGEST_CREDIT = 120  # characters; a longer line is a line of the song

# "[Chorus]", "【副歌】", "(Verse 2)", "Verse 1:", "副歌：", "Hook (x2):"
_SECTION = (
    r"(?:(?:pre|post)[- ]?)?(?:chorus|hook)|verse|bridge|refrain|intro|outro|interlude|coda|tag|"
    r"instrumental|solo|break|breakdown|spoken|"
    r"(?:[主副导導前间間尾]歌|主歌|副歌|[桥橋]段|[间間]奏|前奏|尾[声聲奏]|[过過]门|[过過]門|[导導]歌|念白|说唱|說唱|独白|獨白|合唱|和声|和聲|[独獨]唱|领唱|領唱|[女男]声?|[女男]聲?|齐|合)"
)
_ORDER = r"(?:\s*(?:\d{1,2}|[ivx]{1,4}|[a-d]|[一二三四五六七八九十]))?"
_TIMES = r"(?:\s*[(（\[]?\s*[x×*]\s*\d{1,2}\s*[)）\]]?)?"
_LABEL = re.compile(
    rf"\s*(?:[\[【〔](?P<bracketed>[^\[\]【】〔〕]{{1,40}})[\]】〕]{_TIMES}\s*[:：]?"
    rf"|[(（](?P<rounded>(?:{_SECTION}){_ORDER})[)）]\s*[:：]?"
    rf"|(?P<plain>(?:{_SECTION}){_ORDER}){_TIMES}\s*[:：])\s*",
    re.IGNORECASE,
)
_REPEAT = re.compile(
    r"\s*[(（\[【]\s*(?:[x×*]\s*(?P<after>\d{1,2})|(?P<before>\d{1,2})\s*[x×*]|(?:重复|重複|repeat)"
    r"\s*[x×*]?\s*(?P<said>\d{1,2})(?:\s*(?:遍|次|times))?)\s*[)）\]】]\s*$",
    re.IGNORECASE,
)
_LONGEST_LABEL = 60
_MOST_REPEATS = 16  # what says more is no repeat of a song's line

_MARKS = ":：[【〔(（"
_MARK = frozenset(_MARKS)
_IS_SPACE = np.array([chr(code).isspace() and code != 10 for code in range(0x3001)] + [False])
_BLANK_RUN = re.compile(r"\n{3,}")


@dataclass(frozen=True, slots=True)
class Report:
    """How often each step of `STEPS` found something, which of them changed the text (the others
    were not asked for), and a line that each found."""

    counts: tuple[tuple[str, int], ...] = ()
    changed: tuple[str, ...] = ()
    examples: tuple[tuple[str, str], ...] = field(default=(), repr=False)


class Cleaner:
    """Cleans a text piece by piece; what it did adds up. First `line_ends`, then `lines`, in which
    no line depends on another, then `blanks`, on pieces that runs of blank lines are whole in."""

    def __init__(self, config: CorpusConfig) -> None:
        self._config = config
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        self.spaced = False  # a line that ends with space was let through

    def line_ends(self, text: str) -> str:
        """A text with `\\n` line ends."""
        if others := text.count("\r"):  # each CR ends a line, with or without an LF after it
            self.counts["line_ends"] += others
            return with_plain_line_ends(text)
        return text

    def lines(self, text: str) -> str:
        """Whole lines, each cleaned by itself."""
        spaced, marked = _concerned(text)
        if spaced:
            return self._all_lines(text)
        parts, done = [], 0
        for start, end in marked:
            line = text[start:end]
            kept = self._marked(line)
            if kept != line:
                parts.append(text[done:start])
                done = end
                if kept is None:
                    done += 1  # its line end
                else:
                    parts.append(kept)
        return "".join([*parts, text[done:]]) if parts else text

    def blanks(self, text: str) -> str:
        """A text with one blank line where it had several in a row."""
        if "\n\n\n" not in text:
            return text
        squeezed = _BLANK_RUN.sub(self._squeezed, text)
        return squeezed if self._config.blank_lines == "squeeze" else text

    @property
    def report(self) -> Report:
        found = tuple((step, self.counts[step]) for step in STEPS if self.counts[step])
        asked = {
            "line_ends": True,
            "trailing_space": self._config.trailing_space == "strip",
            "blank_lines": self._config.blank_lines == "squeeze",
            "credits": self._config.credits == "strip",
            "labels": self._config.labels != "keep",
            "repeats": self._config.labels != "keep",
            "duplicates": self._config.duplicates == "drop",
        }
        changed = tuple(step for step, _ in found if asked[step])
        return Report(found, changed, tuple(self.examples.items()))

    def _squeezed(self, run: re.Match[str]) -> str:
        self.counts["blank_lines"] += len(run[0]) - 2
        return "\n\n"

    def _all_lines(self, text: str) -> str:
        """The same for a text in which lines end with space."""
        *lines, rest = text.split("\n")  # no line end says that the rest is a whole line
        stripped = list(map(str.rstrip, lines))
        self.counts["trailing_space"] += sum(map(str.__ne__, lines, stripped))
        if self._config.trailing_space == "strip":
            lines = stripped
        else:
            self.spaced = True
        kept = [line if _MARK.isdisjoint(line) else self._marked(line) for line in [*lines, rest]]
        return "\n".join(line for line in kept if line is not None)

    def _marked(self, line: str) -> str | None:
        """What is left of a line that may be a credit, a label or a repeat; None for nothing."""
        if len(line) <= _LONGEST_CREDIT and _CREDIT.match(line):
            self._count("credits", line)
            return None if self._config.credits == "strip" else line
        if len(line) <= _LONGEST_LABEL and (label := _LABEL.fullmatch(line)):
            self._count("labels", line)
            match self._config.labels:
                case "strip":
                    return None
                case "structure":
                    found = label["bracketed"] or label["rounded"] or label["plain"]
                    return f"[{' '.join(found.split())}]"
            return line
        if repeat := _REPEAT.search(line[-24:]):
            return self._repeated(line, len(line) - len(repeat[0]), repeat)
        return line

    def _repeated(self, line: str, end: int, repeat: re.Match[str]) -> str | None:
        self._count("repeats", line)
        if self._config.labels == "keep":
            return line
        sung = line[:end].rstrip()
        if not sung:
            return None
        times = int(repeat["after"] or repeat["before"] or repeat["said"])
        if self._config.labels == "strip" or not 1 <= times <= _MOST_REPEATS:
            return sung
        return "\n".join([sung] * times)

    def _count(self, step: str, line: str) -> None:
        self.counts[step] += 1
        self.examples.setdefault(step, line.strip())


def is_label(line: str) -> bool:
    """Whether a line only names a section of its song."""
    return len(line) <= _LONGEST_LABEL and _LABEL.fullmatch(line) is not None


def _concerned(text: str) -> tuple[bool, list[tuple[int, int]]]:
    """Whether a line ends with space; and where the lines stand that have a character that marks
    credits, labels and repeats."""
    marks_there = [ord(mark) for mark in _MARKS if mark in text]
    spaced = False
    all_ends, all_marks = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    start, last = 0, ord("x")  # the character before the chunk
    for codes in code_points(text):
        ends = np.flatnonzero(codes == ord("\n"))
        if ends.size and not spaced:
            before = codes[ends - 1].astype(np.uint32)
            before[0] = before[0] if ends[0] else last
            spaced = bool(_IS_SPACE[np.minimum(before, _IS_SPACE.size - 1)].any())
        if marks_there:
            is_mark = codes == marks_there[0]
            for mark in marks_there[1:]:
                is_mark |= codes == mark
            all_marks.append(np.flatnonzero(is_mark) + start)
            all_ends.append(ends + start)
        start += codes.size
        last = int(codes[-1])
    edges = np.concatenate([[-1], *all_ends, [len(text)]])
    lines = np.unique(np.searchsorted(edges, np.concatenate(all_marks))) - 1
    starts, ends = edges[lines] + 1, edges[lines + 1]
    return spaced, list(zip(starts.tolist(), ends.tolist(), strict=True))
