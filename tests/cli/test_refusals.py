"""Input that cannot be used: one sentence that says what and which, and nothing is touched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import filelock
import pytest


@pytest.fixture
def refuse(lyricrnn: Any, untouched: None) -> Any:
    """Gives the words to the command and returns the sentence of its refusal."""

    def give(*words: str | Path, status: int = 2) -> str:
        sentence: str = lyricrnn(*words).refused(status)
        return sentence

    return give


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "missing.txt"),
        (b"", "empty"),
        (b" \n\n\t\n", "empty"),
        (b"x", "single character"),
        (bytes(range(256)) * 8, "binary"),
        (b"\xff\xfea\0b\0\0\xd8a\0", "byte"),
    ],
    ids=["missing", "empty", "blank", "one", "binary", "half a pair"],
)
@pytest.mark.parametrize(
    "words", [["train"], ["corpus", "show"], ["inspect"]], ids=lambda words: words[0]
)
def test_a_text_that_cannot_be_used(
    refuse: Any, tmp_path: Path, words: list[str], content: bytes | None, reason: str
) -> None:
    path = tmp_path / "missing.txt"
    if content is not None:
        path = tmp_path / "text.txt"
        path.write_bytes(content)
    sentence = refuse(*words, path)
    assert reason in sentence
    assert path.name in sentence


def test_an_encoding_that_is_not_sure_is_asked_for(lyricrnn: Any, tmp_path: Path) -> None:
    """With what the text would be in each that is likely."""
    path = tmp_path / "short.txt"
    path.write_bytes("春夜\n".encode("gb18030"))
    for words in (["train"], ["corpus", "show"], ["inspect"]):
        outcome = lyricrnn(*words, path)
        assert outcome.status == 2
        assert "  春夜" in outcome.err.splitlines()
        told = outcome.err.splitlines()[-1]
        assert "name one with --encoding, for example" in told or words == ["inspect"]
        assert ("--encoding" in lyricrnn(*words, "--help").out) == ("--encoding" in told)
    shown = lyricrnn("corpus", "show", path, "--encoding", "gb18030", "--json").json
    assert (shown["encoding"], shown["confidence"], shown["characters"]) == ("gb18030", 1.0, 3)
    assert "no encoding of text" in lyricrnn("corpus", "show", path, "--encoding", "rot13").err


def test_a_text_that_does_not_decode_is_told_with_the_flag(refuse: Any, tmp_path: Path) -> None:
    path = tmp_path / "cut.txt"
    path.write_bytes("海上明月共潮生\n".encode() * 9 + b"\xff\n")
    for words in (["train"], ["corpus", "show"]):
        assert "name the encoding that it is in with --encoding, or save" in refuse(*words, path)
    path.write_bytes(bytes(range(1, 256)) * 9)
    assert "or its encoding with --encoding." in refuse("corpus", "show", path)


def test_a_folder_without_text(refuse: Any, tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    for words in (["train"], ["corpus", "show"]):
        assert "holds no text" in refuse(*words, tmp_path)


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--epochs", "0"], "epochs"),
        (["--hidden", "0"], "hidden"),
        (["--layers", "0"], "layers"),
        (["--dropout", "1"], "dropout"),
        (["--cell", "transformer"], "cell"),
        (["--split", "word"], "split"),
        (["--minutes", "nan"], "minutes"),
        (["--steps", "3", "--epochs", "1"], "steps and epochs"),
        (["--preset", "huge"], "huge"),
        (["--device", "tpu"], "device"),
        (["--learning-rate", "-1"], "learning_rate"),
        (["--held-out", "2"], "held_out"),
        (["--seed", "-1"], "seed"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_setting_out_of_range(refuse: Any, songs: Path, flags: list[str], named: str) -> None:
    assert named in refuse("train", songs, *flags)


def test_a_device_that_is_not_there(
    refuse: Any, songs: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "CUDA" in refuse("train", songs, "--device", "cuda")
    assert "CUDA" in refuse("train", "--resume", "--run", trained, "--device", "cuda")
    assert "device" in refuse("train", "--resume", "--run", trained, "--device", "tpu")


def test_training_without_what_it_needs(refuse: Any, songs: Path) -> None:
    assert "corpus" in refuse("train")
    assert "--run" in refuse("train", "--resume")


def test_what_would_change_a_run_that_goes_on(refuse: Any, trained: Path) -> None:
    flags = ["--hidden", "9", "--seed", "3", "--preset", "tiny"]
    sentence = refuse("train", "--resume", "--run", trained, *flags)
    for flag in ("--hidden", "--seed", "--preset"):
        assert flag in sentence
    assert "--input" in refuse("train", "--resume", "--run", trained, "--input", "one-hot")


def test_another_text_than_the_runs(
    refuse: Any, trained: Path, songs: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.txt"
    other.write_text("another song\n", encoding="utf-8")
    sentence = refuse("train", other, "--resume", "--run", trained)
    from engine.corpus.corpus import Corpus

    assert Corpus.load(other).sha256 in sentence
    assert Corpus.load(songs).sha256 in sentence


def test_another_vocabulary_than_the_runs(
    refuse: Any, trained: Path, songs: Path, tmp_path: Path
) -> None:
    from engine.corpus.vocabulary import Vocabulary

    run = shutil.copytree(trained, tmp_path / "swapped")
    mine = Vocabulary.from_json((run / "vocabulary.json").read_text(encoding="utf-8"))
    swapped = Vocabulary(("<unk>", *mine.characters[:0:-1]), mine.counts)
    (run / "vocabulary.json").write_text(swapped.to_json(), encoding="utf-8")
    sentence = refuse("train", songs, "--resume", "--run", run)
    assert mine.digest in sentence
    assert swapped.digest in sentence
    for words in (["generate", run], ["evaluate", run], ["train", "--resume", "--run", run]):
        sentence = refuse(*words, status=1)
        assert mine.digest[:12] in sentence
        assert swapped.digest[:12] in sentence


def test_places_where_no_new_run_can_be(
    refuse: Any, songs: Path, trained: Path, tmp_path: Path
) -> None:
    assert "--resume" in refuse("train", songs, "--run", trained)
    (tmp_path / "letter.txt").write_text("dear")
    assert "not empty" in refuse("train", songs, "--run", tmp_path)
    assert "not a folder" in refuse("train", songs, "--run", tmp_path / "letter.txt")
    assert "cannot be written" in refuse("train", songs, "--run", "/dev/null/run")


RUN_WORDS = [
    ["generate"],
    ["evaluate"],
    ["runs", "show"],
    ["runs", "export"],
    ["train", "--resume", "--run"],
]


@pytest.mark.parametrize("words", RUN_WORDS, ids=" ".join)
def test_a_folder_that_is_no_run(
    refuse: Any, trained: Path, tmp_path: Path, words: list[str]
) -> None:
    assert "no run.toml" in refuse(*words, tmp_path)
    assert "There is no run" in refuse(*words, tmp_path / "nothing")
    run = shutil.copytree(trained, tmp_path / "run")
    for damaged in (b"\xff = [", b"format = 1\n[[", b"format = 1\nshoes = 2\n", b"format = 9"):
        (run / "run.toml").write_bytes(damaged)
        assert "run" in refuse(*words, run)


def test_a_run_that_another_process_trains(refuse: Any, trained: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "locked")
    with filelock.FileLock(run / "run.lock"):
        assert "another process" in refuse("train", "--resume", "--run", run)


def test_a_run_whose_checkpoints_are_damaged(
    refuse: Any, contents: Any, trained: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(trained, tmp_path / "damaged")
    for checkpoint in (run / "checkpoints").iterdir():
        weights = bytearray((checkpoint / "model.safetensors").read_bytes())
        weights[len(weights) // 2] ^= 1
        (checkpoint / "model.safetensors").write_bytes(weights)
    before = contents(run)
    for words in (["generate", run], ["evaluate", run], ["inspect", run]):
        assert "whole" in refuse(*words, status=1)
    assert "whole" in refuse("train", "--resume", "--run", run, status=1)
    assert contents(run) == before


def test_a_damaged_checkpoint_is_told_of_and_an_earlier_one_serves(
    lyricrnn: Any, trained: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(trained, tmp_path / "one-damaged")
    best = lyricrnn("evaluate", run, "--json").json["step"]
    (run / "checkpoints" / f"step-{best:09d}" / "model.safetensors").write_bytes(b"short")
    done = lyricrnn("evaluate", run, "--json")
    assert done.status == 0
    assert done.json["step"] != best
    assert "damaged" in done.err


def test_a_run_without_a_checkpoint(refuse: Any, trained: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "young")
    shutil.rmtree(run / "checkpoints")
    for words in (["generate"], ["evaluate"], ["inspect"]):
        assert "no checkpoint" in refuse(*words, run)


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--temperature", "-1"], "temperature"),
        (["--temperature", "nan"], "temperature"),
        (["--top-k", "-1"], "top_k"),
        (["--top-p", "0"], "top_p"),
        (["--top-p", "1.5"], "top_p"),
        (["--length", "-1"], "length"),
        (["--lines", "-2"], "lines"),
        (["--seed", "-1"], "seed"),
        (["--greedy", "--temperature", "1"], "--greedy"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_way_of_drawing_out_of_range(
    refuse: Any, trained: Path, flags: list[str], named: str
) -> None:
    assert named in refuse("generate", trained, *flags)


def test_evaluating_what_cannot_be(refuse: Any, trained: Path, tmp_path: Path) -> None:
    assert "protocol" in refuse("evaluate", trained, "--protocol", "guess")
    assert "window" in refuse("evaluate", trained, "--window", "0")
    assert "window" in refuse("evaluate", trained, "--protocol", "stateful", "--window", "9")
    assert "missing" in refuse("evaluate", trained, "--corpus", tmp_path / "missing")


def test_inspecting_and_comparing_what_cannot_be(
    refuse: Any, trained: Path, songs: Path, tmp_path: Path
) -> None:
    assert "no run, no file" in refuse("inspect", "nothing-at-all")
    assert "name a run" in refuse("inspect", songs, "--text", "月")
    assert "nothing to walk" in refuse("inspect", trained, "--text", "XYZ")
    assert "two runs" in refuse("runs", "compare", trained)
    assert "cannot be written" in refuse(
        "runs", "export", trained, "--output", tmp_path / "no" / "such.csv"
    )


def test_a_bidirectional_network_does_not_write(
    lyricrnn: Any, songs: Path, small: list[str], tmp_path: Path
) -> None:
    run = tmp_path / "both-ways"
    done = lyricrnn(
        "train", songs, *small, "--bidirectional", "--steps", "2", "--run", run, "--json"
    )
    assert done.status == 0, done.err
    assert any("bidirectional" in line.get("message", "") for line in done.lines)
    assert "bidirectional" in lyricrnn("generate", run).refused()
    assert lyricrnn("evaluate", run).status == 0
    assert json.loads(lyricrnn("inspect", run, "--json").out)["tensors"]
    assert "bidirectional" in lyricrnn("inspect", run, "--text", "月").refused()


def test_latest_where_there_is_no_run(alone: Any) -> None:
    assert "no run yet" in alone("generate", "latest").refused()


def test_what_should_not_have_happened_is_a_sentence_too(
    refuse: Any, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tui.commands import runs

    def fail(*anything: object) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(runs, "_show", lambda *a, **k: fail())
    sentence = refuse("runs", "show", trained, status=1)
    assert "ZeroDivisionError" in sentence
    assert "LYRICRNN_DEBUG" in sentence
