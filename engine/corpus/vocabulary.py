"""Characters ↔ ids: the vocabulary of a corpus, in an order that only the text decides."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from engine.corpus.text import CODE_POINTS, code_points, counted
from engine.errors import CorpusError

UNKNOWN = "<unk>"
_REPLACEMENT = 0xFFFD  # what an <unk> is written as
_SURROGATES = slice(0xD800, 0xE000)

Ids = npt.NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True)
class Vocabulary:
    """`characters[id]` is the entry of an id and `counts[id]` how often the text has it.

    `<unk>` is id 0 and its count is that of the characters folded into it; the others follow by
    count, the commonest first, and by code point where counts are equal. Raises CorpusError for
    entries that are no vocabulary.
    """

    characters: tuple[str, ...] = field(repr=False)
    counts: tuple[int, ...] = field(repr=False)

    def __post_init__(self) -> None:
        problem = _problem(self.characters, self.counts)
        if problem:
            raise CorpusError(f"This is no vocabulary, because {problem}: build it again.")

    @classmethod
    def build(cls, text: str, min_count: int = 1) -> Self:
        """The vocabulary of a text. Characters seen fewer than `min_count` times, and halves of
        surrogate pairs, become `<unk>`. Raises CorpusError where no character is left."""
        totals = np.zeros(CODE_POINTS, dtype=np.int64)
        for codes in code_points(text):
            counts = counted(codes)
            totals[: counts.size] += counts
        met = np.flatnonzero(totals)
        return cls.of_counts(met.astype(np.uint32), totals[met], min_count)

    @classmethod
    def of_counts(
        cls, codes: npt.NDArray[np.uint32], counts: npt.NDArray[np.int64], min_count: int = 1
    ) -> Self:
        """The vocabulary of a text in which each of the distinct code points (A,) is so often
        (A,). Raises CorpusError where no character is left."""
        surrogate = (codes >= _SURROGATES.start) & (codes < _SURROGATES.stop)
        frequent = np.flatnonzero((counts >= max(min_count, 1)) & ~surrogate)
        if not frequent.size:
            raise CorpusError(
                f"No character is in the text {min_count:,} times or more, so its vocabulary "
                "would be empty: lower min_count or add text."
            )
        kept = frequent[np.lexsort((codes[frequent], -counts[frequent]))]
        return cls(
            (UNKNOWN, *map(chr, codes[kept].tolist())),
            (int(counts.sum() - counts[kept].sum()), *counts[kept].tolist()),
        )

    @property
    def size(self) -> int:
        """V, the number of ids, `<unk>` included."""
        return len(self.characters)

    def __len__(self) -> int:
        return self.size

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the entries in order, in UTF-8: equal exactly where the ids are."""
        return hashlib.sha256("".join(self.characters).encode()).hexdigest()

    @property
    def id_type(self) -> type[np.unsignedinteger[Any]]:
        """uint16 where V ≤ 65,536, else uint32."""
        return np.uint16 if self.size <= 2**16 else np.uint32

    def id_of(self, character: str) -> int | None:
        """The id of a character (or of `<unk>`), None where the vocabulary lacks it."""
        if character == UNKNOWN:
            return 0
        if len(character) != 1:
            return None
        return int(self._id_by_code[ord(character)]) or None

    def encode(self, text: str) -> Ids:
        """The ids of a text, shape (len(text),), of `id_type`. A character that is not in the
        vocabulary becomes 0."""
        ids = np.empty(len(text), dtype=self.id_type)
        start = 0
        for codes in code_points(text):
            ids[start : start + codes.size] = self.ids_of(codes)
            start += codes.size
        return ids

    def ids_of(self, codes: npt.NDArray[np.uint32]) -> Ids:
        """The id of each code point, 0 for those that are not in the vocabulary."""
        return self._id_by_code[codes]

    def decode(self, ids: npt.ArrayLike) -> str:
        """The text of ids in an array or sequence; `<unk>` is written as U+FFFD. Raises
        CorpusError for an id that this vocabulary lacks."""
        array = np.asarray(ids).ravel()
        if not array.size:
            return ""
        if array.dtype.kind not in "iu":
            raise CorpusError(f"Ids are whole numbers, not {array.dtype}: give ids to decode.")
        for extreme in (int(array.min()), int(array.max())):
            if not 0 <= extreme < self.size:
                raise CorpusError(
                    f"{extreme} is no id of this vocabulary, which has 0 to {self.size - 1:,}: "
                    "decode with the vocabulary that the text was encoded with."
                )
        codes: bytes = self._code_by_id[array].tobytes()
        return codes.decode("utf-32-le")

    def unknown(self, text: str) -> list[str]:
        """The distinct characters of a text that are not in the vocabulary, as they appear."""
        found: dict[int, None] = {}
        for codes in code_points(text):
            strange, first = np.unique(codes[self._id_by_code[codes] == 0], return_index=True)
            found.update(dict.fromkeys(strange[np.argsort(first)].tolist()))
        return [chr(code) for code in found]

    def to_json(self) -> str:
        """The vocabulary as a JSON object: schema, digest, characters, counts."""
        return json.dumps(
            {
                "schema": 1,
                "digest": self.digest,
                "characters": self.characters,
                "counts": self.counts,
            },
            ensure_ascii=False,
        )

    @classmethod
    def from_json(cls, data: str | bytes, name: str = "vocabulary.json") -> Self:
        """The vocabulary that `to_json` wrote; `name` is what errors call it. Raises CorpusError
        for anything else."""
        try:
            found: Any = json.loads(data)
        except (ValueError, RecursionError):
            raise _not_ours(name, "it is not JSON") from None
        problem = _problem_in_json(found)
        if problem:
            raise _not_ours(name, problem)
        vocabulary = cls(tuple(found["characters"]), tuple(found["counts"]))
        if vocabulary.digest != found["digest"]:
            named = f"{found['digest']!a:.80}"
            raise _not_ours(
                name, f"its characters have the digest {vocabulary.digest} but it names {named}"
            )
        return vocabulary

    @cached_property
    def _id_by_code(self) -> Ids:
        """Shape (0x110000,): the id of every code point, 0 where there is none."""
        table = np.zeros(CODE_POINTS, dtype=self.id_type)
        table[self._code_by_id[1:]] = np.arange(1, self.size, dtype=self.id_type)
        return table

    @cached_property
    def _code_by_id(self) -> npt.NDArray[np.uint32]:
        """Shape (V,): the code point that each id is written as."""
        codes = np.frombuffer("".join(self.characters[1:]).encode("utf-32-le"), dtype="<u4")
        return np.concatenate([np.array([_REPLACEMENT], dtype="<u4"), codes])


def _not_ours(name: str, problem: str) -> CorpusError:
    return CorpusError(
        f"{name} is no vocabulary of lyricrnn, because {problem}: take it from the run or its "
        "checkpoint again."
    )


def _problem_in_json(found: object) -> str | None:
    """What keeps a JSON value from being read as a vocabulary, None where nothing does."""
    if not isinstance(found, dict):
        return "it is not a JSON object"
    if found.get("schema") != 1:
        return "its schema is not 1"
    for key, kind in (("digest", str), ("characters", list), ("counts", list)):
        if not isinstance(found.get(key), kind):
            return f"its {key} is missing or is no {'text' if kind is str else 'list'}"
    return _problem(found["characters"], found["counts"])


def _problem(characters: Sequence[Any], counts: Sequence[Any]) -> str | None:
    """What keeps these from being the entries of a vocabulary, None where nothing does."""
    if not characters or characters[0] != UNKNOWN:
        return f"its first entry is not {UNKNOWN}"
    for index, character in enumerate(characters[1:], start=1):
        if not isinstance(character, str) or len(character) != 1:
            return f"its entry {index:,} is not one character"
        if "\ud800" <= character <= "\udfff":
            return f"its entry {index:,} is half a surrogate pair"
    if len(set(characters)) != len(characters):
        return "a character is in it twice"
    if len(counts) != len(characters):
        return f"it has {len(characters):,} characters but {len(counts):,} counts"
    if not all(type(count) is int and 0 <= count < 2**63 for count in counts):
        return "one of its counts is not a whole number from 0 up"
    return None
