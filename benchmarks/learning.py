"""Held-out loss for wall time on one text: lyricrnn beside nanoGPT's recipe and a textbook loop.

    python benchmarks/learning.py TEXT [--minutes 2.6] [--preset auto] [--seeds 0 1 2]
        [--nanogpt CHECKOUT] [--textbook] [--picture curves.svg] [--mark LOSS NAME]

The last tenth of TEXT is held out. With `--nanogpt`, the path of a checkout of karpathy/nanoGPT,
its README's CPU command runs first, and every other learner gets the wall time that it took, start
and evaluations included. `--textbook` adds the loop of textbooks at its best for this: an
embedding, one torch.nn.GRU of 512, batches of 32 × 64, AdamW 2e-3 with cosine, bfloat16 autocast.
Losses are nats per character over the whole held-out text by both protocols; nanoGPT's is its own
figure, on random windows of 64. The picture has the losses as they were reported on the way, and a
line at the loss that `--mark` names.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LYRICRNN = [sys.executable, "-c", "from tui.main import main; main()"]
PROTOCOLS = [["stateful"], ["windows", "--window", "64"], ["windows", "--window", "256"]]
NANOGPT = ["config/train_shakespeare_char.py", "--device=cpu", "--compile=False"]
NANOGPT += ["--eval_iters=20", "--log_interval=1", "--block_size=64", "--batch_size=12"]
NANOGPT += ["--n_layer=4", "--n_head=4", "--n_embd=128", "--max_iters=2000"]
NANOGPT += ["--lr_decay_iters=2000", "--dropout=0.0"]
COLOURS = ("#d9822b", "#2b7bd9", "#5a9e4b", "#a0529c")
Curve = list[tuple[float, float]]


def lines_of(command: list[str], folder: Path | None = None) -> Iterator[tuple[float, str]]:
    """Every line that a command writes, with the seconds since it was started; the last has
    no text."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        yield time.perf_counter() - began, line
    if process.wait() != 0:
        sys.exit(f"{' '.join(command)} ended with status {process.returncode}.")
    yield time.perf_counter() - began, ""


def nanogpt(checkout: Path, text: Path) -> tuple[float, Curve]:
    """nanoGPT's CPU recipe on the text: its wall time and its held-out losses on the way."""
    data = checkout / "data" / "shakespeare_char"
    (data / "input.txt").write_bytes(text.read_bytes())
    prepare = (data / "prepare.py").read_text(encoding="utf-8").replace("import requests\n", "")
    subprocess.run(
        [sys.executable, "-c", f"__file__ = {str(data / 'prepare.py')!r}\n{prepare}"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    curve, seconds = [], 0.0
    for seconds, line in lines_of([sys.executable, "train.py", *NANOGPT], checkout):
        if found := re.search(r"^step \d+: train loss [\d.]+, val loss ([\d.]+)", line):
            curve.append((seconds, float(found[1])))
    return seconds, curve


def lyricrnn(
    text: Path, minutes: float, preset: str, seed: str, folder: Path
) -> tuple[dict[str, float], Curve]:
    """A run's figures, and its held-out losses on the way."""
    run = str(folder / f"run-{seed}")
    command = [*LYRICRNN, "train", str(text), "--run", run, "--seed", seed, "--split", "tail"]
    command += ["--preset", preset, "--minutes", str(minutes), "--json"]
    curve: Curve = []
    told: dict[str, Any] = {}
    seconds = 0.0
    for seconds, line in lines_of(command):
        if line:
            told = json.loads(line)
            if told["event"] == "evaluation":
                curve.append((seconds, told["loss"]))
    row = {"wall s": seconds, "steps": told["step"], "chars/s": told["characters_per_second"]}
    for protocol in PROTOCOLS:
        evaluate = [*LYRICRNN, "evaluate", run, "--protocol", *protocol, "--json"]
        *_, last, _ = lines_of(evaluate)
        row[" ".join(protocol).replace(" --window", "")] = json.loads(last[1])["loss"]
    return row, curve


def textbook(text: Path, seconds: float) -> Curve:
    """The loop of textbooks, in a process of its own."""
    path = Path(__file__).parent / "textbook_learner.py"
    found: Curve = []
    for at, line in lines_of([sys.executable, str(path), str(text), str(seconds)]):
        if line:
            found.append((at, float(line)))
    return found


def picture(curves: dict[str, Curve], marks: dict[str, float]) -> str:
    """The curves as SVG: seconds to the right, nats per character upwards."""
    width, height, left, right, top, bottom = 800, 420, 60, 190, 20, 50
    points = [point for curve in curves.values() for point in curve]
    last = max(x for x, _ in points)
    low = math.floor(min([*marks.values(), *(y for _, y in points)]) * 10) / 10
    # From where the curves are past their first fall, which would flatten the rest.
    high = math.ceil(statistics.quantiles([y for _, y in points], n=10)[8] * 10) / 10

    def place(x: float, y: float) -> str:
        across = left + (width - left - right) * x / last
        down = top + (height - top - bottom) * (high - min(y, high)) / (high - low)
        return f"{across:.1f},{down:.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="13" fill="#666">',
        f'<text x="{left}" y="{height - 8}">wall time, seconds</text>',
        f'<text x="14" y="{height - bottom}" transform="rotate(-90 14 {height - bottom})">'
        "held-out nats per character</text>",
    ]
    for k in range(6):
        x, y = last * k / 5, low + (high - low) * k / 5
        at_x, at_y = place(x, low).split(","), place(0, y).split(",")
        parts.append(
            f'<path d="M{left},{at_y[1]} H{width - right}" stroke="#8884"/>'
            f'<text x="{left - 8}" y="{float(at_y[1]) + 4}" text-anchor="end">{y:.2f}</text>'
            f'<text x="{at_x[0]}" y="{height - bottom + 18}" text-anchor="middle">{x:.0f}</text>'
        )
    for name, y in marks.items():
        _, down = place(0, y).split(",")
        parts.append(
            f'<path d="M{left},{down} H{width - right}" stroke="#888" stroke-dasharray="4 4"/>'
            f'<text x="{left + 6}" y="{float(down) - 5}">{name} {y:.3f}</text>'
        )
    for (name, curve), colour in zip(curves.items(), COLOURS, strict=False):
        path = " ".join(place(x, y) for x, y in curve)
        end = place(*curve[-1]).split(",")
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
            f'<text x="{float(end[0]) + 6}" y="{float(end[1]) + 4}" fill="{colour}">'
            f"{name} {curve[-1][1]:.3f}</text>"
        )
    return "\n".join([*parts, "</svg>\n"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path)
    parser.add_argument("--minutes", type=float, default=2.6)
    parser.add_argument("--preset", default="auto")
    parser.add_argument("--seeds", nargs="+", default=["0", "1", "2"])
    parser.add_argument("--nanogpt", type=Path)
    parser.add_argument("--textbook", action="store_true")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--mark", nargs=2, metavar=("LOSS", "NAME"))
    given = parser.parse_args()
    os.chdir(Path(__file__).parent.parent)
    curves: dict[str, Curve] = {}
    minutes = given.minutes
    if given.nanogpt is not None:
        seconds, curves["nanoGPT, CPU recipe"] = nanogpt(given.nanogpt, given.text)
        minutes = round(seconds / 60, 3)
        print(f"nanoGPT: {curves['nanoGPT, CPU recipe'][-1][1]:.3f} in {seconds:.0f} s\n")
    if given.textbook:
        curves["textbook GRU 512"] = textbook(given.text, minutes * 60)
        last = curves["textbook GRU 512"][-1]
        print(f"textbook: {last[1]:.3f} stateful, perplexity {math.exp(last[1]):.1f}\n")
    columns: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in given.seeds:
            row, curve = lyricrnn(given.text, minutes, given.preset, seed, Path(folder))
            curves.setdefault("lyricrnn", curve)
            for name, value in row.items():
                columns.setdefault(name, []).append(value)
    print("| " + " | ".join(["seed", *columns]) + " |")
    print("|" + "---|" * (len(columns) + 1))
    for index, seed in enumerate(given.seeds):
        print("| " + " | ".join([seed, *(f"{v[index]:,.3f}" for v in columns.values())]) + " |")
    medians = (f"{statistics.median(values):,.3f}" for values in columns.values())
    print("| " + " | ".join(["median", *medians]) + " |")
    if given.picture is not None:
        marks = {given.mark[1]: float(given.mark[0])} if given.mark else {}
        given.picture.write_text(picture(curves, marks), encoding="utf-8")


if __name__ == "__main__":
    main()
