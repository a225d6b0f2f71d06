"""The course of a run: steps, evaluations, checkpoints, early stopping and recovery, in order.

`advance()` does one small piece of work, no longer than one training step, and returns what is
worth telling. Whoever drives it, a thread or a test, may do other things between two pieces and
may stop after any of them: the run goes on from its checkpoint as if it had never stopped.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from engine.errors import CheckpointError, ConfigError
from engine.events import (
    Checkpointed,
    Evaluated,
    Finished,
    RunState,
    StateChanged,
    TrainingSnapshot,
    Warned,
)
from engine.training import checkpoint, evaluation
from engine.training.checkpoint import Checkpoint, Progress
from engine.training.evaluation import Evaluation
from engine.training.metrics import bits_per_character, perplexity
from engine.training.run import Run
from engine.training.trainer import StepReport, Trainer

SPEED_STEPS = 50  # the characters per second of now are averaged over so many steps


@dataclass(frozen=True, slots=True)
class SampleDue:
    """The plan asks for a sample of what the network writes at this step."""

    step: int


Happening = StateChanged | Evaluated | Checkpointed | Warned | Finished | SampleDue


class TrainingLoop:
    """Trains one run to its end. The caller holds the run's lock.

    `state` says what is going on; it ends as FINISHED or DIVERGED, with a `Finished` told.
    """

    def __init__(
        self, run: Run, trainer: Trainer, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.run, self.trainer, self.plan = run, trainer, trainer.plan
        self.state = RunState.TRAINING
        self.progress = Progress()
        self._clock = clock
        self._held_out = run.ids("held_out")
        self._evaluating: Iterator[Evaluation] | None = None
        self._evaluated: Evaluation | None = None
        self._saved: Progress | None = None
        self._save_tried = -1
        self._recovered_step: int | None = None
        self._last: StepReport | None = None
        self._step_seconds: deque[float] = deque(maxlen=SPEED_STEPS)
        self._sitting_steps, self._sitting_seconds = 0, 0.0
        self._metrics = run.metrics_path.open("ab", buffering=0)
        self._log_complaint: str | None = None

    def close(self) -> None:
        self._metrics.close()

    # -- starting ---------------------------------------------------------------------------

    def restore(self) -> list[str]:
        """Goes to the newest valid checkpoint, if there is one, and cuts the log back to it.
        Returns what a person should know about checkpoints that were not valid."""
        warnings: list[str] = []
        found = self.run.newest_checkpoint(warnings)
        if found is not None:
            self._go_back_to(found)
        self._cut_metrics()
        return warnings

    def _go_back_to(self, found: Checkpoint) -> None:
        checkpoint.set_aside(self.run.checkpoints, beyond=found.manifest.progress.step)
        self.progress = self._saved = found.manifest.progress
        self._save_tried = self.progress.step
        self.trainer.load(
            found.weights, found.trainer, self.progress.step, self.progress.rate_scale
        )

    def _cut_metrics(self) -> None:
        with contextlib.suppress(OSError):  # what cannot be cut cannot be written either
            # The log may be shorter than it was: somebody cut or removed it.
            size = min(self.progress.metrics_bytes, os.fstat(self._metrics.fileno()).st_size)
            self._metrics.truncate(size)
            self._note(metrics_bytes=size)

    # -- one piece of work ------------------------------------------------------------------

    def advance(self) -> list[Happening]:
        """Does the next piece: a training step, a piece of an evaluation, or a checkpoint."""
        began = self._clock()
        complaint = self._log_complaint
        happened = self._next()
        self._note(seconds=self.progress.seconds + self._clock() - began)
        if self._log_complaint not in (None, complaint):
            happened.append(Warned(self._log_complaint))
        return happened

    def _next(self) -> list[Happening]:
        step, progress, patience = (
            self.trainer.step_count,
            self.progress,
            self.trainer.config.patience,
        )
        if self._evaluating is not None:
            return self._evaluate_further()
        if self._due(self.plan.evaluate_every, progress.evaluated_step) and len(self._held_out) > 1:
            self._evaluating = evaluation.stateful(
                self.trainer.network, self._held_out, precision=self.trainer.precision
            )
            return self._enter(RunState.EVALUATING)
        if self._due(self.plan.checkpoint_every, self._save_tried):
            return self.save()
        if self._due(self.plan.sample_every, progress.sampled_step):
            self._note(sampled_step=step)
            return [SampleDue(step)]
        if step >= self.plan.steps:
            return self._end(RunState.FINISHED, "every step of the plan is done")
        if patience and progress.evaluations_since_best >= patience:
            return self._end(
                RunState.FINISHED,
                f"the held-out loss has not improved for {patience} evaluations",
            )
        return self._step()

    def _due(self, every: int, last: int) -> bool:
        """Whether something that comes every so many steps, and at the end, comes now."""
        step = self.trainer.step_count
        return step != last and (step % every == 0 or step >= self.plan.steps)

    def _enter(self, state: RunState) -> list[Happening]:
        if self.state is state:
            return []
        self.state = state
        return [StateChanged(state)]

    def _note(self, **values: Any) -> None:
        self.progress = self.progress.model_copy(update=values)

    def _step(self) -> list[Happening]:
        changed = self._enter(RunState.TRAINING)
        began = self._clock()
        report = self.trainer.step()
        if not report.applied:
            return changed + self._recover(report)
        seconds = self._clock() - began
        self._step_seconds.append(seconds)
        self._sitting_seconds += seconds
        self._sitting_steps += 1
        self._last = report
        total, count = self.progress.interval_loss + report.loss, self.progress.interval_steps + 1
        self._note(step=report.step, interval_loss=total, interval_steps=count)
        if report.step % self.plan.log_every == 0 or report.step == self.plan.steps:
            self._log_training(report, total / count)
        return changed

    # -- evaluation -------------------------------------------------------------------------

    def _evaluate_further(self) -> list[Happening]:
        assert self._evaluating is not None
        piece = next(self._evaluating, None)
        if piece is not None:
            self._evaluated = piece
            return []
        self._evaluating = None
        assert self._evaluated is not None
        return self._judge(self._evaluated)

    def _judge(self, found: Evaluation) -> list[Happening]:
        """Logs a held-out evaluation; weights better than all before are saved at once."""
        progress, step = self.progress, self.trainer.step_count
        best = math.isfinite(found.loss) and (
            progress.best_loss is None or found.loss < progress.best_loss
        )
        self._log(
            {
                "step": step,
                "held_out_loss": found.loss,
                "perplexity": found.perplexity,
                "bits_per_character": found.bits_per_character,
                "best": best,
            }
        )
        self._note(
            evaluated_step=step,
            held_out_loss=_finite(found.loss),
            best_loss=found.loss if best else progress.best_loss,
            best_step=step if best else progress.best_step,
            evaluations_since_best=0 if best else progress.evaluations_since_best + 1,
        )
        told = Evaluated(step, found.loss, found.characters, best)
        if not best:
            return [told]
        saved = self.save()
        if not any(isinstance(event, Checkpointed) for event in saved):
            # Weights that are not on the disk cannot be the best of the run.
            self._note(best_loss=progress.best_loss, best_step=progress.best_step)
        return [told, *saved]

    # -- divergence -------------------------------------------------------------------------

    def _recover(self, report: StepReport) -> list[Happening]:
        """A loss or gradient that is not finite: once, back to the last good state with half the
        learning rate; the second time the run ends."""
        what = "loss" if not math.isfinite(report.loss) else "gradient"
        where = f"The {what} is not a finite number at step {report.step + 1:,}"
        if self.trainer.step_count == self._recovered_step:
            # Not one step could be made from there: those weights were bad when they were saved.
            checkpoint.set_aside(self.run.checkpoints, beyond=self._recovered_step - 1)
            again = False
        else:
            again = self.progress.rolled_back
        found = None if again else self.run.newest_checkpoint([])
        if found is None:
            why = ", for the second time" if again else ", and there is no checkpoint to go back to"
            message = (
                f"{where}{why}: training stopped. Start a new run with a tenth of the learning "
                "rate."
            )
            return [Warned(message), *self._end(RunState.DIVERGED, message)]
        failed_step, halved = report.step + 1, self.progress.rolled_back
        self._go_back_to(found)
        self._cut_metrics()
        self._recovered_step = self.progress.step
        self.trainer.rate_scale *= 0.5
        self._note(rolled_back=True, rate_scale=self.trainer.rate_scale)
        self._log({"step": self.progress.step, "rolled_back_from": failed_step})
        if halved:  # the person was told when it went back the first time
            return []
        return [
            Warned(
                f"{where}: training went back to step {self.progress.step:,} and goes on at half "
                "the learning rate."
            )
        ]

    # -- saving and ending ------------------------------------------------------------------

    def save(self) -> list[Happening]:
        """Writes a checkpoint of now, unless the newest one is just that. A failure is a warning:
        training goes on, and what was saved before is whole. Weights that are not finite are
        not saved: the next step will find them, and needs a good checkpoint to go back to."""
        unchanged = {"seconds": 0.0}
        if self._saved is not None and self._saved.model_copy(
            update=unchanged
        ) == self.progress.model_copy(update=unchanged):
            return []
        self._save_tried = self.progress.step
        if not self._weights_are_finite():
            return []
        try:
            os.fsync(self._metrics.fileno())
            path = checkpoint.write(
                self.run.checkpoints,
                self.progress,
                self.trainer.network.state_dict(),
                self.trainer.tensors(),
                corpus_sha256=self.run.facts.corpus.sha256,
                vocabulary_digest=self.run.vocabulary.digest,
                seed=self.trainer.config.seed,
            )
        except CheckpointError as error:
            return [Warned(str(error))]
        except OSError as error:
            return [Warned(f"The log of {self.run.path} could not be flushed: {error.strerror}.")]
        self._saved = self.progress
        checkpoint.prune(
            self.run.checkpoints, self.trainer.config.keep_checkpoints, self.progress.best_step
        )
        return [Checkpointed(self.progress.step, path)]

    def _end(self, state: RunState, reason: str) -> list[Happening]:
        """Saves, and leaves the network with the best weights of the run."""
        happened = self.save()
        progress = self.progress
        if progress.best_step is not None or not self._weights_are_finite():
            best = self.run.best_checkpoint([])
            if best is not None:
                self.trainer.network.load_state_dict(best.weights)
        return [*happened, *self._enter(state), self.finished(reason)]

    def finished(self, reason: str) -> Finished:
        """The run's last word; the held-out loss is that of its best weights."""
        progress, held_out = self.progress, self.progress.best_loss
        return Finished(
            run=self.run.path,
            step=progress.step,
            loss=progress.loss,
            held_out_loss=held_out,
            perplexity=None if held_out is None else perplexity(held_out),
            bits_per_character=None if held_out is None else bits_per_character(held_out),
            characters_per_second=self.characters_per_second,
            seconds=progress.seconds,
            reason=reason,
        )

    def _weights_are_finite(self) -> bool:
        return all(bool(w.isfinite().all()) for w in self.trainer.network.parameters())

    def set_learning_rate(self, rate: float) -> None:
        """From now on the schedule is scaled so that its rate of this step is the given one."""
        if not (math.isfinite(rate) and rate > 0):
            raise ConfigError(f"A learning rate of {rate} cannot be used: give one above 0.")
        self.trainer.rate_scale *= rate / self.trainer.learning_rate()
        self._note(rate_scale=self.trainer.rate_scale)

    # -- what is told -----------------------------------------------------------------------

    @property
    def characters_per_second(self) -> float:
        """The speed of training in this sitting, evaluations not counted."""
        characters = self._sitting_steps * self.trainer.characters_per_step
        return characters / self._sitting_seconds if self._sitting_seconds else 0.0

    def snapshot(self, state: RunState | None = None) -> TrainingSnapshot:
        """The figures of now; `state` overrides the loop's own, as when it is paused."""
        progress, recent = self.progress, sum(self._step_seconds)
        loss = progress.loss if self._last is None else self._last.loss
        speed = seconds_left = None
        if recent:
            speed = len(self._step_seconds) * self.trainer.characters_per_step / recent
            seconds_left = (self.plan.steps - progress.step) * recent / len(self._step_seconds)
        return TrainingSnapshot(
            state=state or self.state,
            step=progress.step,
            total_steps=self.plan.steps,
            epoch=self.trainer.epoch,
            loss=loss,
            perplexity=None if loss is None else perplexity(loss),
            bits_per_character=None if loss is None else bits_per_character(loss),
            held_out_loss=progress.held_out_loss,
            best_held_out_loss=progress.best_loss,
            gradient_norm=self._last.gradient_norm if self._last else None,
            learning_rate=self.trainer.learning_rate(),
            characters_per_second=speed,
            seconds=progress.seconds,
            seconds_left=seconds_left,
        )

    def _log_training(self, report: StepReport, loss: float) -> None:
        self._note(loss=loss, interval_loss=0.0, interval_steps=0)
        self._log(
            {
                "step": report.step,
                "epoch": round(self.trainer.epoch, 4),
                "loss": loss,
                "perplexity": perplexity(loss),
                "bits_per_character": bits_per_character(loss),
                "gradient_norm": report.gradient_norm,
                "learning_rate": report.learning_rate,
            }
        )

    def _log(self, point: dict[str, float | int | bool]) -> None:
        told = {name: _finite(value) for name, value in point.items()}
        line = json.dumps(told, allow_nan=False).encode() + b"\n"
        length = self.progress.metrics_bytes
        try:
            if self._metrics.write(line) != len(line):  # a full disk takes a part of a line
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            with contextlib.suppress(OSError):
                self._metrics.truncate(length)
            self._log_complaint = (
                f"{self.run.metrics_path} cannot be written: {error.strerror or error}. Points of "
                "the curve are missing there; training goes on."
            )
            return
        self._note(metrics_bytes=length + len(line))


def _finite(value: float) -> float | None:
    """A number as JSON can hold it: None for NaN and the infinities."""
    return value if math.isfinite(value) else None
