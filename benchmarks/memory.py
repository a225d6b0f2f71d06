"""Peak memory of training against time steps, batch and vocabulary.

    python benchmarks/memory.py [--hidden 512] [--steps 3]

Each row is a process of its own that takes a few steps on random text; `above torch` is without
what the process takes once torch is loaded.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

ROWS = [(65, 64, 64), (1027, 64, 64), (6089, 64, 64), (6089, 64, 128), (6089, 64, 256)]
ROWS += [(6089, 32, 256), (6089, 128, 256)]

MEASURED = """
import json, resource, sys
import numpy as np, torch
from engine.config import ModelConfig, TrainingConfig
from engine.memory import keep_freed
from engine.training.plan import make_plan
from engine.training.trainer import Trainer
keep_freed()
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
vocabulary, batch, time_steps, hidden, steps, output = json.loads(sys.argv[1])
model = ModelConfig(hidden=hidden, embedding=128, output=output)
config = TrainingConfig(model=model, batch=batch, time_steps=time_steps, steps=steps)
plan = make_plan(config, batch=batch, time_steps=time_steps, batches_per_epoch=10,
                 held_out_characters=0, steps=steps, precision="bf16", threads=2)
ids = np.random.default_rng(0).integers(vocabulary, size=10 * batch * time_steps + 1)
trainer = Trainer(config, plan, vocabulary, ids.astype(np.uint16), torch.device("cpu"))
for _ in range(steps):
    trainer.step()
print(json.dumps([before, peak()]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--steps", type=int, default=3)
    given = parser.parse_args()
    print("| V | B | T | output | peak MB | above torch MB |")
    print("|---|---|---|---|---|---|")
    for vocabulary, batch, time_steps in ROWS:
        for output in ("full", "tied") if vocabulary > 500 else ("full",):
            asked = [vocabulary, batch, time_steps, given.hidden, given.steps, output]
            done = subprocess.run(
                [sys.executable, "-c", MEASURED, json.dumps(asked)],
                check=True,
                stdout=subprocess.PIPE,
            )
            before, peak = json.loads(done.stdout)
            print(
                f"| {vocabulary:,} | {batch} | {time_steps} | {output} | {peak / 1e6:,.0f} | "
                f"{(peak - before) / 1e6:,.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
