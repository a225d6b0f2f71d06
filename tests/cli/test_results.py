"""What each command tells, to programs and to people."""

from __future__ import annotations

import csv
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

FINISHED = {
    "event",
    "run",
    "step",
    "loss",
    "held_out_loss",
    "perplexity",
    "bits_per_character",
    "characters_per_second",
    "seconds",
    "reason",
}


# -- train ----------------------------------------------------------------------------------


def test_train_tells_its_course_in_json(training: Any, session_home: Path) -> None:
    lines = training.lines
    assert [line["event"] for line in lines].count("finished") == 1
    events = {line["event"] for line in lines}
    # A run that ends within the first look at it has no progress to tell.
    assert events - {"progress"} >= {"started", "evaluation", "sample", "checkpoint"}
    end = training.json
    assert end["event"] == "finished"
    assert set(end) == FINISHED
    assert end["step"] == 40
    assert Path(end["run"]).parent == session_home / "runs"
    assert end["perplexity"] == pytest.approx(math.exp(end["held_out_loss"]))
    assert end["bits_per_character"] == pytest.approx(end["held_out_loss"] / math.log(2))
    best = min(line["loss"] for line in lines if line["event"] == "evaluation")
    assert end["held_out_loss"] == best
    for line in lines:
        if line["event"] == "checkpoint":
            assert line["path"].startswith(end["run"])
        if line["event"] == "evaluation":
            assert line["perplexity"] == pytest.approx(math.exp(line["loss"]))


def test_train_without_a_terminal_says_plain_lines(training: Any) -> None:
    assert "\x1b" not in training.err
    assert "held-out loss" in training.err
    assert "it writes" in training.err
    assert "Traceback" not in training.err


def test_train_tells_a_person_how_to_go_on(alone: Any, songs: Path, small: list[str]) -> None:
    done = alone("train", songs, *small, "--steps", "6", "--run", "here", "--seed", "1")
    assert done.status == 0, done.err
    assert "Training ended at step 6" in done.out
    assert "lyricrnn generate" in done.out
    assert "--resume" not in done.out
    written = (alone.home / "here" / "run.toml").read_text(encoding="utf-8")
    for setting in ("hidden = 12", "embedding = 6", "batch = 2", "held_out = 0.3", "steps = 6"):
        assert setting in written
    assert "seed = 1" in written
    assert 'cell = "gru"' in written


def test_every_flag_reaches_its_setting() -> None:
    from tui.commands import train

    given: dict[str, Any] = {
        "preset": "tiny",
        "cell": "lstm",
        "implementation": "scratch",
        "input": "one-hot",
        "hidden": 5,
        "embedding": 6,
        "layers": 2,
        "dropout": 0.5,
        "bidirectional": True,
        "split": "tail",
        "held_out": 0.2,
        "newline": "space",
        "limit": 100,
        "min_count": 2,
        "batch": 3,
        "time_steps": 4,
        "sampling": "random",
        "optimizer": "sgd",
        "learning_rate": 0.5,
        "weight_decay": 0.3,
        "output": "full",
        "clip_norm": 0.25,
        "schedule": "constant",
        "sample_every": 7,
        "seed": 8,
        "device": "cpu",
        "precision": "bf16",
        "threads": 1,
        "patience": 2,
        "minutes": None,
        "epochs": 2.0,
        "steps": None,
    }
    config = train.configuration(given)
    told = config.model_dump()
    told |= told.pop("model")
    corpus = told.pop("corpus")
    assert {**told, **corpus} | given | {"preset": None} == {**told, **corpus, "preset": None}
    nothing = dict.fromkeys(given)
    from engine.training.plan import preset

    assert train.configuration(nothing) == preset("auto")
    assert train.configuration({**nothing, "hidden": 5}).shape == "given"
    assert train.configuration({**nothing, "seed": 5}).shape == "searched"


def test_a_finished_run_resumes_to_the_same_end(alone: Any, songs: Path, small: list[str]) -> None:
    first = alone("train", songs, *small, "--steps", "5", "--run", "r", "--json")
    again = alone("train", songs, "--resume", "--run", "r", "--device", "cpu", "--json")
    assert again.status == 0, again.err
    assert again.json["held_out_loss"] == first.json["held_out_loss"]
    assert again.json["step"] == 5


# -- generate -------------------------------------------------------------------------------


def test_generate_json(lyricrnn: Any, trained: Path) -> None:
    words = ["--prompt", "月Xy", "--length", "20", "--top-k", "5", "--temperature", "0.7"]
    done = lyricrnn("generate", trained, *words, "--seed", "7", "--json")
    assert done.status == 0, done.err
    told = done.json
    assert {"text", "prompt", "seed", "characters_per_second", "skipped", "step"} <= set(told)
    assert told["prompt"] == "月Xy"
    assert told["skipped"] == ["X", "y"]
    assert len(told["text"]) == 20
    assert (told["seed"], told["temperature"], told["top_k"], told["top_p"]) == (7, 0.7, 5, 1.0)
    assert told["characters_per_second"] > 0
    assert "X y" in done.err


def test_generate_streams_the_same_text(lyricrnn: Any, trained: Path) -> None:
    words = ["--prompt", "月", "--length", "15", "--seed", "7"]
    whole = lyricrnn("generate", trained.name, *words, "--json").json
    streamed = lyricrnn("generate", "latest", *words)
    assert streamed.out == "月" + whole["text"] + "\n"
    assert streamed.err == ""


def test_generate_edges(lyricrnn: Any, trained: Path) -> None:
    assert lyricrnn("generate", trained, "--prompt", "月", "--length", "0").out == "月\n"
    greedy = lyricrnn("generate", trained, "--greedy", "--length", "9")
    cold = lyricrnn("generate", trained, "--temperature", "0", "--length", "9")
    assert greedy.out == cold.out
    lines = lyricrnn("generate", trained, "--prompt", "月", "--lines", "2", "--seed", "1").out
    assert len([line for line in lines.splitlines() if line.strip()]) == 2


# -- evaluate -------------------------------------------------------------------------------


def test_evaluate_json(lyricrnn: Any, trained: Path, training: Any, songs: Path) -> None:
    told = lyricrnn("evaluate", trained, "--json").json
    keys = {"protocol", "window", "loss", "perplexity", "bits_per_character", "characters"}
    assert keys | {"run", "step", "unknown"} <= set(told)
    assert told["protocol"] == "stateful"
    assert told["window"] is None
    assert told["unknown"] == 0
    assert told["loss"] == pytest.approx(training.json["held_out_loss"], abs=1e-6)
    assert told["perplexity"] == pytest.approx(math.exp(told["loss"]))

    cold = lyricrnn("evaluate", trained, "--window", "4", "--corpus", songs, "--json").json
    assert (cold["protocol"], cold["window"]) == ("windows", 4)
    assert cold["characters"] == len(songs.read_text(encoding="utf-8")) - 1


def test_evaluate_counts_unknown_characters(lyricrnn: Any, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("春江XYZ花", encoding="utf-8")
    done = lyricrnn("evaluate", trained, "--corpus", tmp_path / "other.txt", "--json")
    assert done.json["unknown"] == 3
    assert "3 of 6 characters" in done.err


def test_evaluate_tells_a_person(lyricrnn: Any, trained: Path) -> None:
    done = lyricrnn("evaluate", trained)
    for name in ("protocol", "perplexity", "bits per character"):
        assert name in done.out
    assert done.err == ""


def test_evaluate_reports_on_what_the_network_writes(lyricrnn: Any, trained: Path) -> None:
    words = ["evaluate", trained, "--report", "--json"]
    told = lyricrnn(*words, "--seed", "4").json
    card = told["report"]
    assert card["seed"] == 4
    assert (card["unit"], card["shortest"]) == ("characters", 6)
    assert card["bits_per_character"] == told["bits_per_character"]
    columns = card["written"], card["human"], card["shuffled"]
    assert all(column["lines"] == columns[0]["lines"] > 0 for column in columns)
    assert all(len(column["novelty"]) == 16 for column in columns)
    # The songs are ten times the same but for a word: so is what was held out.
    assert card["human"]["verbatim"] > 0
    assert lyricrnn(*words, "--seed", "4").json == told
    assert lyricrnn(*words, "--seed", "5").json["report"]["written"] != card["written"]
    assert "report" not in lyricrnn("evaluate", trained, "--json").json


def test_evaluate_reports_to_a_person(lyricrnn: Any, trained: Path) -> None:
    done = lyricrnn("evaluate", trained, "--report")
    assert done.err == ""
    assert re.search(r"^ +written +human +shuffled$", done.out, re.MULTILINE)
    for name in ("distinct characters", "rhymes with the line before", "copied, 6 characters"):
        assert re.search(rf"^{name}.* (\d+\.\d%|–)$", done.out, re.MULTILINE), done.out


def test_evaluate_refuses_a_seed_of_nothing(lyricrnn: Any, trained: Path) -> None:
    assert "--report" in lyricrnn("evaluate", trained, "--seed", "4").refused()
    assert "seed = -4" in lyricrnn("evaluate", trained, "--report", "--seed", "-4").refused()


def test_evaluate_reads_other_texts_as_the_run_does(
    alone: Any, songs: Path, small: list[str]
) -> None:
    alone("train", songs, *small, "--steps", "5", "--run", "r", "--lines-reversed")
    card = alone("evaluate", "r", "--corpus", songs, "--report", "--json").json["report"]
    # Nearly all of that text was taught: read from the wrong end, none of it would be known.
    assert card["human"]["novelty"][5] < 0.5
    assert card["human"]["verbatim"] > 0.2


# -- inspect --------------------------------------------------------------------------------


def test_inspect_a_run_in_json(lyricrnn: Any, trained: Path) -> None:
    told = lyricrnn("inspect", trained, "--text", "月X夜", "--json").json
    assert set(told["vocabulary"]) == {"size", "digest"}
    keys = {"name", "meaning", "symbolic_shape", "shape", "parameters", "bytes"}
    assert all(set(tensor) == keys for tensor in told["tensors"])
    by_name = {tensor["name"]: tensor for tensor in told["tensors"]}
    assert by_name["embedding.weight"]["shape"] == [told["vocabulary"]["size"], 6]
    assert all({"name", "symbolic_shape", "shape"} <= set(step) for step in told["flow"])
    assert [step["character"] for step in told["steps"]] == ["月", "夜"]
    for step in told["steps"]:
        assert step["next"][0]["probability"] >= step["next"][-1]["probability"] > 0
        assert len(step["layers"]) == 1


def test_inspect_a_corpus_in_json(lyricrnn: Any, songs: Path, trained: Path) -> None:
    told = lyricrnn("inspect", songs, "--json").json
    assert told["tensors"] == told["flow"] == []
    run = lyricrnn("inspect", "latest", "--json").json
    assert told["vocabulary"] == run["vocabulary"]


def test_inspect_tells_a_person(lyricrnn: Any, trained: Path, songs: Path) -> None:
    done = lyricrnn("inspect", trained)
    for word in ("embedding.weight", "(V, E)", "logits", "(B, T, V)", "⏎", "digest"):
        assert word in done.out
    walked = lyricrnn("inspect", trained, "--text", "月夜").out
    assert walked.count("next: ") == 2
    assert re.search(r"‖h‖ 0\.000 → \d", walked)
    assert "月" in lyricrnn("inspect", songs).out


# -- corpus ---------------------------------------------------------------------------------


def test_corpus_list(lyricrnn: Any) -> None:
    shipped = lyricrnn("corpus", "list", "--json").json["corpora"]
    assert {"chinese-pop", "english-songs"} <= {corpus["name"] for corpus in shipped}
    for corpus in shipped:
        assert corpus["songs"] > 0
        assert corpus["characters"] > 0
        assert corpus["name"] in lyricrnn("corpus", "list").out


def test_corpus_show(lyricrnn: Any, songs: Path) -> None:
    told = lyricrnn("corpus", "show", songs, "--json").json
    keys = {"encoding", "confidence", "songs", "lines", "characters", "vocabulary_size", "sha256"}
    assert keys | {"distinct_characters", "most_common"} <= set(told)
    assert (told["songs"], told["encoding"]) == (10, "utf-8")
    assert told["vocabulary_size"] == told["distinct_characters"] + 1
    shown = lyricrnn("corpus", "show", songs).out
    assert told["sha256"] in shown
    assert "█" in shown


def test_corpus_show_tells_what_cleaning_finds_and_does(lyricrnn: Any, tmp_path: Path) -> None:
    path = tmp_path / "songs.txt"
    path.write_text("作词：某人\n春江 \n花月\n夜\n\n\n\n春江\n花月\n夜\n")
    told = lyricrnn("corpus", "show", path, "--json").json
    assert told["cleaning"] == {"trailing_space": 1, "blank_lines": 2, "credits": 1}
    assert told["changed"] == ["credits"]
    assert (told["songs"], told["near_copies"]) == (2, 1)
    assert told["suggestion"]["preset"] == "auto"
    told = lyricrnn("corpus", "show", path, "--clean", "--json").json
    assert told["changed"] == ["trailing_space", "blank_lines", "credits", "duplicates"]
    assert told["songs"] == 1
    shown = lyricrnn("corpus", "show", path, "--clean", "--credits", "keep").out
    assert re.search(r"credit lines +1 +kept +作词：某人", shown)
    path.write_bytes(b"la\r\nla \r\nlu\r")
    shown = lyricrnn("corpus", "show", path).out
    assert re.search(r"line ends of other systems +3 +cleaned\s+lines with space", shown)


def test_a_set_that_was_not_fetched(lyricrnn: Any) -> None:
    assert "shijing" in lyricrnn("corpus", "list").out
    assert "run `lyricrnn corpus fetch shijing`" in lyricrnn("train", "shijing").refused(2)
    assert "tang-300" in lyricrnn("corpus", "fetch", "no-such-set").refused(2)


# -- runs -----------------------------------------------------------------------------------


def test_runs_list(lyricrnn: Any, alone: Any, trained: Path) -> None:
    told = lyricrnn("runs", "list", "--json").json["runs"]
    assert [run["name"] for run in told] == [trained.name]
    assert (told[0]["step"], told[0]["total_steps"]) == (40, 40)
    shown = lyricrnn("runs", "list").out
    assert trained.name in shown
    assert "40/40" in shown
    assert alone("runs", "list", "--json").json == {"runs": []}
    assert "There is no run" in alone("runs", "list").out


def test_runs_list_passes_over_what_is_no_run(alone: Any, trained: Path) -> None:
    shutil.copytree(trained, alone.home / "runs" / "good")
    broken = alone.home / "runs" / "broken"
    broken.mkdir()
    (broken / "run.toml").write_text("format = 1\n[config", encoding="utf-8")
    done = alone("runs", "list", "--json")
    assert [run["name"] for run in done.json["runs"]] == ["good"]
    assert "warning: " in done.err
    assert "broken" in done.err


def test_runs_show(lyricrnn: Any, trained: Path, training: Any) -> None:
    told = lyricrnn("runs", "show", trained, "--json").json
    assert told["config"]["model"]["hidden"] == 12
    assert told["held_out_loss"] == training.json["held_out_loss"]
    evaluations = [line for line in training.lines if line["event"] == "evaluation"]
    assert told["held_out"] == [{"step": e["step"], "loss": e["loss"]} for e in evaluations]
    assert told["samples"]
    shown = lyricrnn("runs", "show", "latest").out
    assert "┤" in shown
    assert "written at step" in shown


def test_runs_compare(lyricrnn: Any, alone: Any, trained: Path, songs: Path) -> None:
    other = shutil.copytree(trained, alone.home / "other")
    facts = (other / "run.toml").read_text(encoding="utf-8")
    (other / "run.toml").write_text(facts.replace("seed = 3", "seed = 4"), encoding="utf-8")
    told = lyricrnn("runs", "compare", trained, other, "--json")
    assert [run["name"] for run in told.json["runs"]] == [trained.name, "other"]
    assert told.json["differing"] == ["seed"]
    shown = lyricrnn("runs", "compare", trained, other)
    assert "perplexity" in shown.out
    assert "other" in shown.out
    assert "different texts" in shown.err


def test_runs_export(lyricrnn: Any, trained: Path, tmp_path: Path, training: Any) -> None:
    text = lyricrnn("runs", "export", trained).out
    rows = list(csv.DictReader(text.splitlines()))
    assert text.splitlines()[0] == (
        "step,epoch,loss,perplexity,bits_per_character,gradient_norm,learning_rate,held_out_loss"
    )
    assert [int(row["step"]) for row in rows] == list(range(1, 41))
    evaluations = [line for line in training.lines if line["event"] == "evaluation"]
    measured = {int(r["step"]): float(r["held_out_loss"]) for r in rows if r["held_out_loss"]}
    assert measured == {line["step"]: line["loss"] for line in evaluations}
    for row in rows:
        assert float(row["perplexity"]) == pytest.approx(math.exp(float(row["loss"])))
    done = lyricrnn("runs", "export", trained, "--output", tmp_path / "curves.csv")
    assert done.out == ""
    assert (tmp_path / "curves.csv").read_text(encoding="utf-8") == text


def test_figures_that_are_no_numbers_become_null(alone: Any, trained: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "diverged")
    with (run / "metrics.jsonl").open("a") as log:
        log.write(json.dumps({"step": 40, "held_out_loss": math.nan}) + "\n")
        log.write('{"no": "step"}\nnot json\n')
    told = alone("runs", "show", run, "--json").json
    assert told["held_out"][-1] == {"step": 40, "loss": None}
    assert alone("runs", "show", run).status == 0
    assert alone("runs", "export", run).status == 0
