"""Lyrics in form: line after line, every demand met, as likely as the network finds them.

To draw from the allowed characters alone makes clumsy lines, since the network does not know what
it is led to. So a line is written many times at once and the likelier ones are kept: sequential
Monte Carlo with the form's masks as its constraint (Lew et al. 2023, "Sequential Monte Carlo
Steering of Large Language Models"). After each character, a line weighs as much as all that it was
allowed was likely; where few lines hold all weight, they are drawn anew by it. The line that is
drawn at the end is, the more lines there are, one that the network would have written had it kept
to the form by itself.
"""

from __future__ import annotations

import itertools
import math
import secrets
from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from engine.config import GenerationConfig
from engine.corpus.vocabulary import Vocabulary
from engine.errors import FormError
from engine.events import Character, Choice, LineMeasure
from engine.model.network import State as NetworkState
from engine.model.stepper import Stepper
from engine.writing.form import MOST_LINES, Form, LineDemand
from engine.writing.generator import prompt_ids

if TYPE_CHECKING:
    from engine.writing.originality import Originality
from engine.writing.endings import Key, rhymes_of
from engine.writing.rhyme import line_syllables
from engine.writing.rules import Alphabet, CharacterRule, FreeRule, Mask, Rule, State, is_sung
from engine.writing.sampling import UNKNOWN_ID, draw_rows
from engine.writing.songbook import Songbook
from engine.writing.word_rule import Lexicon, SyllableRule

MOST_TRIES = 8  # times that many, where all are turned down
LENGTHS_TRIED = 40  # lengths of lines in the songs, the most common first
READ_BEFORE = 1000  # characters before a line that are read for it
SOUNDS_AT_ONCE = 4  # of those that a line may rhyme on within itself
CHOICES = 5  # characters shown that might have stood there

Scores = NDArray[np.floating]
Endings = tuple[frozenset[str] | None, ...]  # of each clause of a line; None: any
_ANY: Endings = (None,)


@dataclass(frozen=True)
class Place:
    """Where a text goes on: the network's state there, of one text, and its logits (V,)."""

    state: NetworkState
    logits: NDArray[np.float32]


@dataclass(frozen=True)
class Line:
    """A line that was written: `text` as it is read, `ids` as they were written, without the line
    end; `nats` is what the network thinks of it, the mean −ln p of a character at temperature 1,
    line end included; `forbidden` the share that the form took from the network's choices at each
    character; `after` is the place behind its line end. `way` is the rule that it was written by,
    with the number of characters that were there before and the rule's state behind them; None
    where nothing was asked."""

    text: str
    ids: tuple[int, ...]
    nats: float
    forbidden: tuple[float, ...]
    after: Place = field(repr=False, compare=False)
    way: tuple[Rule, int, State] | None = field(default=None, repr=False, compare=False)


class Composer:
    """Writes lines in form with one network. Raises FormError where the form cannot be met;
    without a form, every line is free.

    `backward` is for networks that were taught every line from its end. `originality` is an index
    of the songs as they were taught, for `config.max_copy`.
    """

    def __init__(
        self,
        stepper: Stepper,
        vocabulary: Vocabulary,
        songbook: Songbook,
        form: Form | None,
        config: GenerationConfig,
        *,
        backward: bool = False,
        originality: Originality | None = None,
    ) -> None:
        free = Form(lines=(LineDemand(),) * (config.lines or MOST_LINES))
        self.form, self.config, self.backward = form or free, config, backward
        self.most = config.length if form is None else None  # characters
        self._stepper, self._vocabulary, self._songbook = stepper, vocabulary, songbook
        self._originality = originality if config.max_copy else None
        self._alphabet = Alphabet(vocabulary)
        self.by_syllables = self.form.unit == "syllables" or (
            self.form.unit == "auto" and songbook.latin and form is not None
        )
        self._free = FreeRule(self._alphabet, blank=form is None)
        letters = {letter for demand in self.form.lines for letter in demand.letters if letter}
        if letters and songbook.latin and not self.by_syllables:
            raise FormError(
                "English lines rhyme by words, whose syllables are counted: ask for unit syllables."
            )
        self._rhymes = rhymes_of(self.form, self._alphabet, songbook) if letters else None
        self._counted = dict(self.form.syllables)
        words = {**songbook.lexicon, **self._counted} if self.by_syllables else {}
        self._lexicon = Lexicon(words, backward=backward)
        self._rule = lru_cache(4096)(self._made_rule)
        self._cases: dict[Hashable, bool] = {}
        self._sounds = {letter: self._possible(letter) for letter in sorted(letters)}
        unrhymed = [i for i, demand in enumerate(self.form.lines) if not any(demand.letters)]
        for index in self._alike(unrhymed):
            self._ways(index, _ANY)  # raises where none is possible

    # -- before anything is written ---------------------------------------------------------

    def _possible(self, letter: str) -> dict[Key, frozenset[str]]:
        """The sounds that every line of a letter can end in, each time on something else."""
        assert self._rhymes is not None
        demands = self.form.lines
        lines = [index for index, one in enumerate(demands) if letter in one.letters]
        count = sum(one.letters.count(letter) for one in demands)
        lasts = [one.last for one in demands if one.rhyme == letter and one.last]
        found = {
            key: members
            for key, members in self._rhymes.groups.items()
            if len(members & self._rhymes.sure) >= count and members.issuperset(lasts)
            and all(self._can_end(index, letter, members) for index in self._alike(lines))
        }  # fmt: skip
        if not found:
            for index in lines:  # where it is not the rhyme that is in the way, the reason is told
                self._ways(index, tuple(None for _ in demands[index].letters))
            places = "lines" if count == len(lines) else "clauses"
            raise FormError(
                f"{count} {places} that rhyme on {letter} cannot be written as asked with the "
                f"{'words' if self.by_syllables else 'characters'} of these songs: ask for fewer, "
                "or for a looser rhyme."
            )
        return found

    def _alike(self, lines: Sequence[int]) -> Collection[int]:
        """One line of each kind of demand."""
        return {self.form.lines[index]: index for index in reversed(lines)}.values()

    def _can_end(self, index: int, letter: str, members: frozenset[str]) -> bool:
        """Whether a line can be written whose clauses of that letter end in one of these."""
        demand = self.form.lines[index]
        endings = tuple(members if its == letter else None for its in demand.letters)
        if not self.by_syllables:
            return self._has_a_way(demand, endings)
        # Thousands of sounds come down to a few cases: of words, all that counts here is how many
        # syllables they have, which may begin the line, and whether the wanted one is there.
        known = [word for word in members if word in self._lexicon.words]
        begin = _spelt(demand.first)
        case = (
            demand,
            frozenset(self._lexicon.words[word] for word in known),
            frozenset(self._lexicon.words[word] for word in known if word.startswith(begin)),
            demand.word.lower() in members,
            _spelt(demand.last) in members,
        )
        if case not in self._cases:
            self._cases[case] = self._has_a_way(demand, endings)
        return self._cases[case]

    def _has_a_way(self, demand: LineDemand, endings: Endings) -> bool:
        return any(
            self._rule_or_none(demand, length, endings) for length, _ in self._lengths(demand)
        )

    def _lengths(self, demand: LineDemand) -> list[tuple[tuple[int, ...], int]]:
        """The lengths that a line may have: the one that is asked for, or those of the songs'
        lines, the most common first, with how often they are."""
        if demand.length:
            return [(demand.length, 1)]
        if not self.by_syllables:
            often = self._songbook.clauses
            if demand.inner:
                count = len(demand.letters)
                often = Counter({one: often[one] for one in often if len(one) == count})
            return often.most_common(LENGTHS_TRIED)
        lengths = self._songbook.line_syllables.most_common(LENGTHS_TRIED)
        return [((length,), often) for length, often in lengths]

    # -- rules ------------------------------------------------------------------------------

    def _ways(
        self, index: int, endings: Endings, beginning: str = ""
    ) -> tuple[list[tuple[Rule, State]], Scores]:
        """The rules that a line may be written by, each with its state after the beginning, and
        how likely each is: one where the length is asked for, else those of the lengths that
        lines of the songs have. Raises FormError where there is none."""
        demand = self.form.lines[index]
        if demand.free and not (beginning and self.backward):
            state = self._begun(self._free, beginning)
            assert state is not None  # whatever it is, a free line may begin so
            return [(self._free, state)], np.ones(1)
        ways: list[tuple[Rule, State]] = []
        weights: list[float] = []
        for length, often in self._lengths(demand):
            rule = self._rule_or_none(demand, length, endings, beginning)
            state = self._begun(rule, beginning) if rule else None
            if rule and state is not None:
                ways.append((rule, state))
                weights.append(often)
        if not ways:
            for length, _ in self._lengths(demand)[:1]:
                self._rule(demand, length, endings, beginning)  # raises with the reason
            if beginning:
                raise FormError(f"No line as asked begins with {beginning!r}: begin it otherwise.")
            raise FormError(
                "These songs have no lines to take a length from: give one with --line-length."
            )
        return ways, np.array(weights) / sum(weights)

    def _begun(self, rule: Rule, beginning: str) -> State | None:
        """The state of a rule after the beginning of a line; None where it begins otherwise. A
        line that is written backward comes to its beginning last, and has it in its rule."""
        state = rule.start
        for character in () if self.backward else self._vocabulary.encode(beginning).tolist():
            if not rule.allowed(state)[character]:
                return None
            state = rule.after(state, character)
        return state

    def _rule_or_none(
        self,
        demand: LineDemand,
        length: tuple[int, ...],
        endings: Endings,
        beginning: str = "",
    ) -> Rule | None:
        try:
            return self._rule(demand, length, endings, beginning)
        except FormError:
            return None

    def _made_rule(
        self,
        demand: LineDemand,
        length: tuple[int, ...],
        endings: Endings,
        beginning: str,
    ) -> Rule:
        if self.by_syllables:
            return self._syllable_rule(demand, length, endings, beginning)
        if demand.inner and len(length) != len(endings):
            raise FormError(
                f"Rhymes within a line stand at the ends of its clauses: {demand.scheme} needs a "
                f"length of {len(endings)} clauses, such as {'+'.join(['4'] * len(endings))}."
            )
        at: dict[int, Mask] = {}
        for place, character in enumerate((self.backward and beginning) or demand.first):
            at[place] = self._alphabet.only(character)
        for place, character in enumerate(reversed(demand.last)):
            at[-1 - place] = self._alphabet.only(character)
        ends = [*itertools.accumulate(length)] if demand.inner else [sum(length)]
        for end, sounding in zip(ends, endings, strict=True):
            if sounding is not None:
                place = end - 1 if end < sum(length) else -1
                at[place] = at.get(place, self._alphabet.sung) & self._alphabet.mask(sounding)
        return CharacterRule(
            self._alphabet, length, at, demand.word, demand.end, backward=self.backward
        )

    def _syllable_rule(
        self,
        demand: LineDemand,
        length: tuple[int, ...],
        endings: Endings,
        beginning: str,
    ) -> Rule:
        if len(length) > 1:
            raise FormError("Clauses are counted in characters: give one number of syllables.")
        if demand.inner and (demand.letters != (demand.rhyme,) * 2 or demand.word):
            raise FormError(
                "An English line rhymes within itself on the sound that it ends with, as in (AA), "
                "and cannot be asked for a word besides."
            )
        *_, last_ones = endings
        inner = frozenset() if not demand.inner else last_ones or frozenset(self._lexicon.words)
        begins = _spelt((self.backward and beginning) or demand.first)
        first = self._lexicon.beginning(begins) if begins else None
        if demand.last:
            last = _spelt(demand.last)
            last_ones = (last_ones or frozenset([last])) & {last}
        return SyllableRule(
            self._alphabet, self._lexicon, length[0], first, last_ones, demand.word, demand.end,
            inner,
        )  # fmt: skip

    # -- reading and writing ----------------------------------------------------------------

    def read(self, text: str) -> Place:
        """The place after a text of whole lines, of which the last `READ_BEFORE` characters
        count."""
        text = text[-READ_BEFORE:]
        if self.backward:
            text = "\n".join(line[::-1] for line in text.split("\n"))
        stream = self._stepper.stream()
        for character in prompt_ids(self._vocabulary, text):
            stream.read(character)
        return Place(self._stepper.state_of(stream), stream.logits.copy())

    def after_a_blank_line(self, place: Place) -> Place:
        return self._on(place, [self._alphabet.line_end])

    def _on(self, place: Place, ids: Sequence[int]) -> Place:
        state, logits = place.state, torch.from_numpy(place.logits)
        for character in ids:
            logits, state = self._stepper.step(torch.tensor([character]), state)
        return Place(state, logits.reshape(-1).numpy())

    def endings(
        self, index: int, others: Mapping[int, str], random: np.random.Generator
    ) -> list[Endings]:
        """What the clauses of the line of that index may end in, where `others` are the lines there
        by their index. There are several ways where clauses of it rhyme with each other and with
        nothing that is there: a few sounds, drawn by how many ends they have. Raises FormError
        where nothing is left."""
        letters = self.form.lines[index].letters
        ways: list[dict[str, frozenset[str] | None]] = [{"": None}]
        for letter in sorted({letter for letter in letters if letter}):
            heard = self._heard(letter, index, others)
            sounds = list(self._fresh(letter, index, others).values())
            if heard:
                choices = [self._left(letter, heard)]
            elif letters.count(letter) == 1:
                choices = [frozenset().union(*sounds)]
            else:
                many = np.array([len(members) for members in sounds])
                drawn = min(SOUNDS_AT_ONCE, len(sounds))
                chosen = random.choice(len(sounds), drawn, replace=False, p=many / many.sum())
                choices = [sounds[place] for place in chosen]
            ways = [{**way, letter: ends} for way in ways for ends in choices]
        return [tuple(way[letter] for letter in letters) for way in ways]

    def _fresh(
        self, letter: str, index: int, others: Mapping[int, str]
    ) -> dict[Key, frozenset[str]]:
        """The sounds that a letter may have, without those of the stanza's other letters unless
        nothing else is left."""
        assert self._rhymes is not None
        stanza = self.form.stanza_of(index)
        taken = {
            key
            for other, line in others.items() if other in stanza and other != index
            for its, part in self._parts(other, line) if its and its != letter
            for key in self._rhymes.keys(part)
        }  # fmt: skip
        sounds = self._sounds[letter]
        return {key: sounds[key] for key in sounds if key not in taken} or sounds

    def _heard(self, letter: str, index: int, others: Mapping[int, str]) -> list[str]:
        """What rhymes on a letter in the other lines: each of them up to there."""
        return [
            part
            for other, line in sorted(others.items()) if other != index
            for its, part in self._parts(other, line) if its == letter and part
        ]  # fmt: skip

    def _parts(self, index: int, line: str) -> list[tuple[str, str]]:
        """The rhymes of a line that is there: their letters, and the line up to there. A line below
        the form's last one has none."""
        letters = self.form.lines[index].letters if index < len(self.form.lines) else ()
        if not any(letters):
            return []
        assert self._rhymes is not None
        return list(zip(letters, self._rhymes.clauses(line, len(letters)), strict=True))

    def _left(self, letter: str, heard: Sequence[str]) -> frozenset[str]:
        """What rhymes with all that is there, and is not there yet."""
        assert self._rhymes is not None
        keys = [key for part in heard for key in self._rhymes.keys(part)]
        groups = [self._rhymes.groups.get(key, frozenset()) for key in keys]
        sounds = self._sounds[letter].values()
        best = max(
            groups, key=lambda group: (group in sounds, len(group)), default=frozenset[str]()
        )
        left = best - {self._rhymes.ending(part) for part in heard}
        if not left:
            raise FormError(
                f"Nothing in these songs rhymes with {heard[0]!r}: change that line, or ask for a "
                "looser rhyme."
            )
        return left

    def lines(
        self,
        place: Place,
        index: int,
        others: Mapping[int, str],
        random: np.random.Generator,
        count: int = 1,
        *,
        beginning: str = "",
        besides: Collection[str] = (),
    ) -> list[Line]:
        """Lines for one place of the form: one, drawn as the network would, or `count` that all
        differ, from each other and from `besides`, fewer where no more were found. `others` are
        the lines around it by index, `beginning` how it begins. Raises FormError."""
        several = self.endings(index, others, random)
        begun = [] if self.backward else self._vocabulary.encode(beginning).tolist()
        start = self._on(place, begun)
        together = self._look_ahead(index, beginning)
        found: dict[str, Line] = {}
        spare: dict[str, Line] = {}
        for attempt in range(MOST_TRIES + count):
            if attempt == MOST_TRIES // 2 and not found and self._rhymes:
                # Characters of several readings were read otherwise than was hoped.
                several = [self._surely(ends) for ends in several]
            ways, shares = self._any_way(index, several, beginning)
            drawn = random.choice(len(ways), size=together, p=shares)
            swarm = _Swarm(self, start, [ways[way] for way in drawn], begun, random)
            swarm.write()
            fresh = {
                line.text: line
                for line in swarm.by_weight()
                if line.text not in besides
                and line.text not in found
                and self._rhymes_well(index, line.text, others)
            }
            # Lines of one swarm have much in common, so each gives one.
            found.update(itertools.islice(fresh.items(), 1))
            spare.update(fresh)
            if len(found) == count:
                return list(found.values())
        if not found:
            raise FormError(
                f"Line {index + 1} could not be written in {MOST_TRIES * together} tries without "
                "repeating or copying: ask for less, or for another seed."
            )
        return list({**found, **spare}.values())[:count]

    def _look_ahead(self, index: int, beginning: str) -> int:
        free = self.form.lines[index].free and not beginning
        return 1 if self.config.temperature == 0 or free else self.config.look_ahead

    def _any_way(
        self, index: int, several: Sequence[Endings], beginning: str
    ) -> tuple[list[tuple[Rule, State]], Scores]:
        """The ways to all of these endings. Raises FormError where none has one."""
        found: list[tuple[list[tuple[Rule, State]], Scores]] = []
        for endings in several:
            try:
                found.append(self._ways(index, endings, beginning))
            except FormError:
                if not found and endings is several[-1]:
                    raise
        return (
            [way for ways, _ in found for way in ways],
            np.concatenate([shares for _, shares in found]) / len(found),
        )

    def _surely(self, endings: Endings) -> Endings:
        """Those that sound as they should in nearly every line, where there are such."""
        assert self._rhymes is not None
        sure = self._rhymes.sure
        return tuple((ends & sure or ends) if ends else ends for ends in endings)

    def _rhymes_well(self, index: int, text: str, others: Mapping[int, str]) -> bool:
        """Whether a line rhymes as it is read; by its characters alone it might have."""
        parts = self._parts(index, text)
        for letter in {letter for letter, _ in parts if letter}:
            assert self._rhymes is not None
            own = [part for its, part in parts if its == letter]
            shared = set.intersection(*(set(self._rhymes.keys(part)) for part in own))
            heard = self._heard(letter, index, others)
            known: list[Collection[Key]] = [self._rhymes.keys(part) for part in heard]
            known = known or [self._fresh(letter, index, others)]
            if any(shared.isdisjoint(keys) for keys in known):
                return False
            if len({self._rhymes.ending(part) for part in own}) < len(own):
                return False
        return True

    def measured(self, index: int, line: Line) -> LineMeasure:
        """What the form asked of a line and what it got."""
        demand = self.form.lines[index]
        if self.by_syllables:
            length = line_syllables(line.text, self._counted).count
        else:
            length = sum(is_sung(character) for character in line.text)
        sounds = self._rhymes.keys(line.text) if self._rhymes and demand.rhyme else ()
        named = sorted(sound if isinstance(sound, str) else " ".join(sound) for sound in sounds)
        return LineMeasure(
            text=line.text,
            asked=sum(demand.length) or None,
            length=length,
            rhyme=demand.rhyme,
            sound=", ".join(named),
            nats=line.nats,
        )

    def explained(self, place: Place, line: Line) -> Iterator[Character]:
        """The characters of a line as they were written: how likely each was to the network, and
        what might have stood there."""
        names, masks = self._alphabet.characters, self._allowed_in(line)
        for character, forbidden, mask in zip(line.ids, line.forbidden, masks, strict=True):
            chances = _softmax(place.logits)
            likeliest = np.argpartition(-chances, min(CHOICES, len(chances) - 1))[:CHOICES]
            likeliest = likeliest[np.argsort(-chances[likeliest], kind="stable")]
            choices = tuple(
                Choice(names[i], float(chances[i]), mask is None or bool(mask[i]))
                for i in likeliest
            )
            yield Character(names[character], float(chances[character]), forbidden, choices)
            place = self._on(place, [character])

    def _allowed_in(self, line: Line) -> Iterator[Mask | None]:
        """What was allowed at each character of a line; None where nothing was asked."""
        if line.way is None:
            yield from (None for _ in line.ids)
            return
        rule, begun, state = line.way
        yield from (None for _ in line.ids[:begun])
        for place, character in enumerate(line.ids[begun:], begun):
            yield rule.allowed(state) & ~self._copying(line.ids[:place])
            state = rule.after(state, character)

    def _copying(self, ids: Sequence[int]) -> Mask:
        """The characters that would make a copy longer than is allowed, after these of a line."""
        if self._originality is None:
            return np.zeros(self._alphabet.size, bool)
        longest = self.config.max_copy
        tail = "".join(self._alphabet.characters[i] for i in ids[-longest:])
        return self._alphabet.mask(self._originality.forbidden(tail, longest))


class _Swarm:
    """N lines written at once from one place."""

    def __init__(
        self,
        composer: Composer,
        place: Place,
        rules: list[tuple[Rule, State]],
        begun: list[int],
        random: np.random.Generator,
    ) -> None:
        count = len(rules)
        self._composer, self._random = composer, random
        self._ways = rules
        self._states = [state for _, state in rules]
        self._ids = [list(begun) for _ in rules]
        self._begun = len(begun)
        self._weights = np.zeros(count)  # logarithms
        self._nats = np.zeros(count)
        self._forbidden = [[0.0] * len(begun) for _ in rules]
        self._done = np.zeros(count, bool)
        self._network = tuple(part.expand(-1, count, -1).clone() for part in place.state)
        self._logits = np.repeat(place.logits[None], count, axis=0)

    @torch.inference_mode()
    def write(self) -> None:
        """Writes until every line has ended or is dead."""
        while len(rows := np.flatnonzero(~self._done & np.isfinite(self._weights))):
            self._advance(rows)
            self._redraw()

    def by_weight(self) -> Iterator[Line]:
        """The whole lines in a random order in which the weightier ones tend to come first: the
        first is a draw by weight (the Gumbel-max trick)."""
        whole = self._done & np.isfinite(self._weights)
        order = np.argsort(-(self._weights + self._random.gumbel(size=len(whole))))
        for row in order[whole[order]].tolist():
            ids = self._ids[row]
            text = "".join(self._composer._alphabet.characters[i] for i in ids)
            size = len(ids) + 1 - self._begun
            rule, state = self._ways[row]
            yield Line(
                text[::-1] if self._composer.backward else text,
                tuple(ids),
                float(self._nats[row]) / size,
                tuple(self._forbidden[row]),
                Place(tuple(part[:, [row]] for part in self._network), self._logits[row]),
                (rule, self._begun, state),
            )

    def _advance(self, rows: NDArray[np.intp]) -> None:
        """One character more for these lines."""
        composer, config = self._composer, self._composer.config
        logits = self._logits[rows]  # a copy
        logits[:, UNKNOWN_ID] = -np.inf
        masks = np.stack([self._ways[row][0].allowed(self._states[row]) for row in rows])
        for place, row in enumerate(rows.tolist()):
            masks[place] &= ~composer._copying(self._ids[row])
        temperature = np.float32(config.temperature or 1.0)
        everything = _log_sum(logits / temperature)
        allowed = np.where(masks, logits, np.float32(-np.inf))
        left = _log_sum(allowed / temperature)
        self._weights[rows] += left - everything
        alive = np.isfinite(left)
        rows, allowed, logits = rows[alive], allowed[alive], logits[alive]
        if not len(rows):
            return
        chosen = draw_rows(allowed, config, self._random.random(len(rows)))
        plain = _log_sum(logits)
        self._nats[rows] += plain - logits[np.arange(len(rows)), chosen]
        forbidden = 1 - np.exp(_log_sum(allowed) - plain)
        for row, character, share in zip(
            rows.tolist(), chosen.tolist(), forbidden.tolist(), strict=True
        ):
            if character == composer._alphabet.line_end:
                self._done[row] = True
            else:
                self._states[row] = self._ways[row][0].after(self._states[row], character)
                self._ids[row].append(character)
                self._forbidden[row].append(share)
        if len(rows) == len(self._done):
            out, self._network = composer._stepper.step(torch.from_numpy(chosen), self._network)
            self._logits = out.numpy()
            return
        before = tuple(part[:, rows] for part in self._network)
        out, after = composer._stepper.step(torch.from_numpy(chosen), before)
        for part, new in zip(self._network, after, strict=True):
            part[:, rows] = new
        self._logits[rows] = out.numpy()

    def _redraw(self) -> None:
        """Draws the lines anew by their weight where fewer than half of them count (the effective
        sample size of Kong, Liu & Wong 1994), by one random number (systematic resampling)."""
        heaviest = self._weights.max()
        if len(self._weights) == 1 or not np.isfinite(heaviest):
            return
        weights = np.exp(self._weights - heaviest)
        if weights.sum() ** 2 / (weights**2).sum() >= len(weights) / 2:
            return
        goals = (np.arange(len(weights)) + self._random.random()) / len(weights) * weights.sum()
        kept = np.minimum(np.searchsorted(np.cumsum(weights), goals, "right"), len(weights) - 1)
        self._weights[:] = heaviest + math.log(weights.mean())
        self._ways = [self._ways[i] for i in kept]
        self._states = [self._states[i] for i in kept]
        self._ids = [list(self._ids[i]) for i in kept]
        self._forbidden = [list(self._forbidden[i]) for i in kept]
        self._nats, self._done = self._nats[kept], self._done[kept]
        self._network = tuple(part[:, kept] for part in self._network)
        self._logits = self._logits[kept]


class Composition:
    """A lyric in form that is being written, one `advance()` a character, as `Writing` is.

    A prompt's whole lines stand before the form; where its last line is not whole, the form's
    first line goes on from it.
    """

    def __init__(self, composer: Composer, prompt: str) -> None:
        self.config, self.prompt = composer.config, prompt
        config = composer.config
        self.seed = secrets.randbelow(2**31) if config.seed is None else config.seed
        self.skipped = composer._vocabulary.unknown(prompt)
        self.text = ""
        self.lines: list[Line] = []
        self._composer = composer
        self._random = np.random.default_rng(self.seed)
        before, _, self._begun = prompt.rpartition("\n")
        self._begun = "".join(c for c in self._begun if c not in self.skipped)
        self._place = composer.read(before + "\n" if before or not self._begun else "\n\n")
        self._ready: Iterator[Character] = iter(())
        self._done = composer.most == 0
        self._written: dict[int, str] = {}  # the lines by their index

    @property
    def done(self) -> bool:
        return self._done

    def advance(self) -> Character | None:
        """The next character; None while a line is being prepared, and at the end."""
        if self._done:
            return None
        character = next(self._ready, None)
        if character is None:
            self._done = len(self.lines) == len(self._composer.form.lines)
            if self._done:
                return None
            self._ready = self._next_line()
            return None
        self.text += character.text
        self._done = len(self.text) == self._composer.most
        return character

    def measured(self) -> tuple[LineMeasure, ...]:
        """The lines so far, beside what the form asked of them."""
        return tuple(self._composer.measured(*numbered) for numbered in enumerate(self.lines))

    def _next_line(self) -> Iterator[Character]:
        composer, index = self._composer, len(self.lines)
        parted = composer.form.breaks_before(index)
        if parted:
            self._place = composer.after_a_blank_line(self._place)
        beginning, self._begun = self._begun, ""
        (line,) = composer.lines(
            self._place, index, self._written, self._random, beginning=beginning
        )
        explained = list(composer.explained(self._place, line))
        if composer.backward:
            explained.reverse()
        self._place = line.after
        self.lines.append(line)
        self._written[index] = line.text
        lead = [] if index == 0 else [Character("\n", 1.0)] * (2 if parted else 1)
        return iter(lead + explained[len(beginning) :])


def _spelt(word: str) -> str:
    """A word as a lexicon has it."""
    return word.replace("’", "'").lower()


def _log_sum(scores: Scores) -> Scores:
    """log Σ exp over the last axis, -inf where nothing is possible."""
    highest = scores.max(axis=-1, keepdims=True)
    shift = np.where(np.isfinite(highest), highest, 0)
    with np.errstate(divide="ignore"):
        summed: Scores = np.log(np.exp(scores - shift).sum(axis=-1)) + shift[..., 0]
    return summed


def _softmax(logits: NDArray[np.float32]) -> Scores:
    """The network's own probabilities; <unk> has none."""
    scores = logits.astype(np.float64)
    scores[UNKNOWN_ID] = -np.inf
    exponentials = np.exp(scores - scores.max())
    chances: Scores = exponentials / exponentials.sum()
    return chances
