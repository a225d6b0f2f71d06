"""From a corpus to a run that is ready: what is frozen, what is told, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from engine.corpus.corpus import Corpus
from engine.errors import CorpusError, Interrupted, RunError
from engine.training import prepare, search
from engine.training.prepare import new_run
from engine.training.run import Run


def prepared(workshop: Any, text: str, **changes: Any) -> tuple[Run, list[str]]:
    config = workshop.config(**changes)
    return new_run(workshop.folder / "run", Corpus.from_text(text, config=config.corpus), config)


def test_a_budget_in_minutes_is_frozen_in_steps(
    workshop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "MEASURED_STEPS", 6)
    changes = {"steps": None, "minutes": 0.2, "evaluate_every": 0}
    run, _ = prepared(workshop, workshop.songs, **changes)
    assert run.facts.plan.steps > 100  # a step of this network takes milliseconds

    def measured(*arguments: Any, **named: Any) -> None:
        raise AssertionError("a resumed run measures nothing again")

    monkeypatch.setattr(prepare, "measure", measured)
    assert workshop.loop(run).plan == run.facts.plan


def test_measuring_changes_nothing_in_the_run(
    workshop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run that was measured learns as one of that many steps does."""
    monkeypatch.setattr(prepare, "MEASURED_STEPS", 5)
    timed = workshop.new_run("timed", steps=None, minutes=0.001, evaluate_every=0)
    steps = timed.facts.plan.steps
    counted = workshop.new_run("counted", steps=steps, evaluate_every=0)
    for run in (timed, counted):
        workshop.finish(workshop.loop(run))
    assert timed.metrics_path.read_bytes() == counted.metrics_path.read_bytes()


def test_a_searched_shape_is_frozen_and_told(
    workshop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "MEASURED_STEPS", 6)
    monkeypatch.setattr(search, "MEASURED_SECONDS", 1e-9)
    monkeypatch.setattr(search, "MEASURED_SIZES", (16, 32))
    changes = {"steps": None, "minutes": 10, "evaluate_every": 0, "shape": "searched"}
    run, _ = prepared(workshop, workshop.songs, **changes)
    picked = Run.open(run.path).facts
    assert f" of {picked.config.model.hidden} features" in picked.picked
    # A text this short is read as often as it is worth long before the time is up.
    most = search.most_readings(run.vocabulary.size)
    assert picked.plan.steps == most * picked.plan.batches_per_epoch
    assert f"reads the text {most} times" in picked.picked
    loop = workshop.loop(run)
    assert loop.trainer.network.config == picked.config.model


def test_stopping_while_measuring_leaves_nothing_behind(workshop: Any) -> None:
    config = workshop.config(steps=None, minutes=1.0)
    asked = iter([False, False, True])
    with pytest.raises(Interrupted):
        new_run(
            workshop.folder / "run",
            Corpus.from_text(workshop.songs),
            config,
            stopped=lambda: next(asked),
        )
    assert not (workshop.folder / "run").exists()


@pytest.mark.parametrize("text", ["ab", "abc", "春江\n花月\n\n夜"])
def test_the_smallest_texts_train(workshop: Any, text: str) -> None:
    run, warnings = prepared(workshop, text, batch=32, time_steps=64, steps=3)
    assert any("batches shrink" in warning for warning in warnings)
    loop = workshop.loop(run)
    workshop.finish(loop)
    assert loop.progress.step == 3


def test_a_single_character_is_refused_and_leaves_nothing_behind(workshop: Any) -> None:
    with pytest.raises(CorpusError):
        prepared(workshop, "a")
    assert not (workshop.folder / "run").exists()


def test_characters_that_only_the_held_out_songs_have_are_in_the_vocabulary(workshop: Any) -> None:
    run = workshop.new_run()
    assert all(run.vocabulary.id_of(character) for character in workshop.songs)
    assert run.ids("held_out").min() > 0


def test_a_bidirectional_network_is_warned_of(workshop: Any) -> None:
    run, warnings = prepared(workshop, workshop.songs, bidirectional=True)
    assert any("cannot generate" in warning for warning in warnings)
    loop = workshop.loop(run)
    workshop.finish(loop)
    assert loop.progress.step == 24


def test_a_second_run_in_one_place_is_refused_before_any_work(
    workshop: Any, tmp_path: Path
) -> None:
    prepared(workshop, workshop.songs)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "run").rglob("*")}
    with pytest.raises(RunError, match="holds a run already"):
        prepared(workshop, workshop.songs, steps=None, minutes=60.0)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "run").rglob("*")} == before


def test_the_trainer_takes_the_threads_of_the_plan(workshop: Any) -> None:
    prepare.trainer_for(workshop.new_run(threads=1), torch.device("cpu"))
    assert torch.get_num_threads() == 1


def test_a_run_knows_its_songs_by_their_titles(workshop: Any, tmp_path: Path, seed: int) -> None:
    songs = {f"Song {n}": f"la {n} la\nlo {n} lo\n\nli {n} li" for n in range(1, 9)}
    file = tmp_path / "songs.txt"
    file.write_text("\n\n".join(f"---\ntitle: {t}\n---\n{songs[t]}" for t in songs))
    config = workshop.config(seed=seed % 1000)
    run, _ = new_run(workshop.folder / "run", Corpus.load(file), config)
    taught = run.vocabulary.decode(run.ids("training"))
    found = run.songs()
    assert 1 < len(found) < len(songs)  # some are held out
    ends = [start for start, _ in found[1:]] + [len(taught)]
    for (start, title), end in zip(found, ends, strict=True):
        assert taught[start:end].strip("\n") == songs[title]
    (run.path / "data" / "songs.json").write_text("nonsense")
    assert run.songs() == []
