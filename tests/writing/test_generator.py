"""Writing: a seed decides the text, whichever way it is written, and a prompt cannot break it."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch

from engine.config import Cell, GenerationConfig, ModelConfig
from engine.corpus.vocabulary import Vocabulary
from engine.events import Character
from engine.model.network import CharRNN
from engine.model.stepper import Stepper
from engine.writing.generator import Writing, write, write_together

torch.set_num_threads(1)

each_cell = pytest.mark.parametrize("cell", get_args(Cell))
TEXT = "春江潮水连海平\n海上明月共潮生\n\nla la, my love\n"
VOCABULARY = Vocabulary.build(TEXT)
PROMPTS = ["", "春", "春江\nla", "x☃春", "☃☃", "\n", "   ", TEXT * 3]


def stepper(
    cell: Cell = "gru", vocabulary: Vocabulary = VOCABULARY, line_ends: float = 0.0, **changes: Any
) -> Stepper:
    """Weights large enough that what was read before matters; `line_ends` makes \\n likelier."""
    shape = {"cell": cell, "embedding": 8, "hidden": 16, "dropout": 0.0, "layers": 2, **changes}
    network = CharRNN(ModelConfig(**shape), vocabulary.size, seed=4)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3.0)
        if line_ends:
            found = vocabulary.id_of("\n")
            assert found is not None
            network.output.bias[found] += line_ends
    return Stepper(network)


def config(**changes: Any) -> GenerationConfig:
    return GenerationConfig(**{"length": 60, "seed": 1, "temperature": 1.0, **changes})


def written(prompt: str, cell: Cell = "gru", **changes: Any) -> str:
    return write(stepper(cell), VOCABULARY, prompt, config(**changes)).text


def streamed(of: Writing) -> list[Character]:
    found = []
    while not of.done:
        character = of.advance()
        if character is not None:
            found.append(character)
    return found


# --- A seed is a text ---------------------------------------------------------------------------


@each_cell
def test_a_seed_gives_one_text_and_seeds_differ(cell: Cell) -> None:
    texts = [written("春", cell, seed=seed) for seed in range(8)]
    assert [written("春", cell, seed=seed) for seed in range(8)] == texts
    assert len(set(texts)) == 8


@each_cell
@pytest.mark.parametrize("prompt", PROMPTS, ids=range(len(PROMPTS)))
@pytest.mark.parametrize("settings", [{}, {"lines": 3}, {"top_k": 5, "top_p": 0.9}])
def test_streamed_written_at_once_and_written_together_are_one_text(
    cell: Cell, prompt: str, settings: dict[str, Any]
) -> None:
    made, seeds = stepper(cell, line_ends=4.0), [3, 1, 2, 1]
    together = write_together(made, VOCABULARY, prompt, config(**settings), seeds)
    for seed, text in zip(seeds, together, strict=True):
        own = config(seed=seed, **settings)
        whole = write(made, VOCABULARY, prompt, own)
        characters = streamed(Writing(made, VOCABULARY, prompt, own))
        assert "".join(character.text for character in characters) == whole.text == text
        assert all(0 < character.probability <= 1 for character in characters)


def test_a_fresh_seed_is_told_and_writes_the_text_again() -> None:
    first = write(stepper(), VOCABULARY, "春", config(seed=None))
    second = write(stepper(), VOCABULARY, "春", config(seed=None))
    assert first.seed != second.seed
    assert written("春", seed=first.seed) == first.text


def test_texts_side_by_side_do_not_disturb_each_other() -> None:
    made = stepper()
    first, second = (
        Writing(made, VOCABULARY, p, config(seed=s)) for p, s in (("春", 1), ("la", 2))
    )
    while not (first.done and second.done):
        first.advance()
        second.advance()
    assert first.text == written("春", seed=1)
    assert second.text == written("la", seed=2)


@each_cell
def test_greedy_needs_no_seed(cell: Cell) -> None:
    assert len({written("春", cell, temperature=0.0, seed=seed) for seed in range(5)}) == 1
    assert written("春", cell, temperature=0.0) == written("春", cell, top_k=1, seed=9)


def test_a_shorter_text_is_the_beginning_of_a_longer_one() -> None:
    long = written("春", length=50)
    for length in (0, 1, 2, 49):
        assert written("春", length=length) == long[:length]


# --- Length -------------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", ["", "春", TEXT])
@pytest.mark.parametrize("length", [0, 1, 7])
def test_length_counts_what_is_written_after_the_prompt(prompt: str, length: int) -> None:
    assert len(written(prompt, length=length)) == length
    assert (
        len(write_together(stepper(), VOCABULARY, prompt, config(length=length), [1])[0]) == length
    )


def test_length_zero_is_done_before_it_begins() -> None:
    writing = Writing(stepper(), VOCABULARY, "春", config(length=0))
    assert writing.done
    assert writing.advance() is None
    assert writing.text == ""


def test_no_streams_are_no_texts() -> None:
    assert write_together(stepper(), VOCABULARY, "春", config(), []) == []


def test_nothing_is_written_after_the_end() -> None:
    writing = write(stepper(), VOCABULARY, "春", config(length=5))
    assert [writing.advance() for _ in range(3)] == [None] * 3
    assert len(writing.text) == 5


def test_unknown_is_never_written() -> None:
    vocabulary = Vocabulary.build(TEXT, min_count=2)
    network = CharRNN(ModelConfig(hidden=8, dropout=0.0), vocabulary.size)
    with torch.no_grad():
        network.output.bias[0] += 100.0
    text = write(Stepper(network), vocabulary, "春", config(length=300)).text
    assert len(text) == 300
    assert set(text) <= set(vocabulary.characters[1:])


# --- Prompts ------------------------------------------------------------------------------------


@each_cell
def test_the_prompt_is_read_from_its_first_character(cell: Cell) -> None:
    texts = {written(prompt, cell) for prompt in ("春江", "江", "水江", "春江春江")}
    assert len(texts) == 4


def test_unknown_characters_are_named_once_and_skipped() -> None:
    writing = write(stepper(), VOCABULARY, "☃春é江☃", config())
    assert writing.skipped == ["☃", "é"]
    assert writing.prompt == "☃春é江☃"
    assert writing.text == written("春江")
    assert write(stepper(), VOCABULARY, "春江", config()).skipped == []


@pytest.mark.parametrize("prompt", ["☃", "🎵🎵", "\ud800", "\0\x1b"])
def test_a_prompt_of_unknown_characters_only_is_as_an_empty_one(prompt: str) -> None:
    writing = write(stepper(), VOCABULARY, prompt, config())
    assert writing.skipped == sorted(set(prompt), key=prompt.index)
    assert writing.text == written("")


def test_an_empty_prompt_is_the_start_of_a_song() -> None:
    assert written("") == written("\n\n")
    assert written("") != written("\n")


@pytest.mark.parametrize(("text", "start"), [("la la love", " "), ("春春春江", "春")])
def test_an_empty_prompt_without_line_ends_in_the_vocabulary(text: str, start: str) -> None:
    vocabulary = Vocabulary.build(text)
    made = stepper(vocabulary=vocabulary)
    writing = write(made, vocabulary, "", config(lines=2))
    assert len(writing.text) == 60  # lines never end, the length does
    assert writing.text == write(made, vocabulary, start, config(lines=2)).text
    assert write_together(made, vocabulary, "", config(lines=2), [1]) == [writing.text]


def test_the_smallest_vocabulary_writes_its_one_character() -> None:
    vocabulary = Vocabulary.build("aa")
    assert write(stepper(vocabulary=vocabulary), vocabulary, "", config(length=3)).text == "aaa"


def test_a_prompt_is_read_a_character_at_a_time() -> None:
    """So that a long prompt keeps nobody waiting."""
    writing = Writing(stepper(), VOCABULARY, "春江潮", config(length=2))
    told = [writing.advance() for _ in range(5)]
    assert told[:3] == [None] * 3
    assert [character.text for character in told[3:] if character] == list(writing.text)
    assert writing.done


# --- Lines --------------------------------------------------------------------------------------


def lines_of(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


@each_cell
@pytest.mark.parametrize("prompt", ["", "\n", "春江\n", "春江\n\n"])
@pytest.mark.parametrize("lines", [1, 2, 5])
def test_so_many_lines_are_written(cell: Cell, prompt: str, lines: int) -> None:
    made = stepper(cell, line_ends=4.0)
    settings = {"length": 2000, "temperature": 1.5}
    for seed in range(4):
        text = write(made, VOCABULARY, prompt, config(lines=lines, seed=seed, **settings)).text
        assert len(lines_of(text)) == lines
        assert not text.endswith("\n")
        free = config(seed=seed, **{**settings, "length": len(text) + 1})
        # Cut at the line's end and not before.
        assert write(made, VOCABULARY, prompt, free).text == text + "\n"


@pytest.mark.parametrize("prompt", ["春", "春江\n海", "\n la"])
def test_the_line_that_the_prompt_began_is_the_first(prompt: str) -> None:
    made = stepper(line_ends=4.0)
    for seed in range(4):
        settings = config(length=2000, temperature=1.5, seed=seed, lines=2)
        text = write(made, VOCABULARY, prompt, settings).text
        begun = prompt.rpartition("\n")[2]
        assert len(lines_of(begun + text)) == 2


def test_the_length_still_stops_a_text_of_lines() -> None:
    assert len(written("春", lines=1000, length=20)) == 20
