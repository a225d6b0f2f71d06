"""The immutable messages that the engine sends; importing them costs nothing but the standard
library."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.config import TrainingConfig
    from engine.model.trace import FlowFacts, TensorFacts
    from engine.writing.originality import Copy


class RunState(StrEnum):
    """What a run is doing, in the word that is shown to people."""

    PREPARING = "preparing"
    TRAINING = "training"
    EVALUATING = "evaluating"
    PAUSED = "paused"
    SAVING = "saving"
    STOPPED = "stopped"
    FINISHED = "finished"
    DIVERGED = "diverged"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen in this run until it is started again."""
        return self in {RunState.STOPPED, RunState.FINISHED, RunState.DIVERGED, RunState.FAILED}


@dataclass(frozen=True, slots=True)
class TrainingSnapshot:
    """The figures of now. The newest one replaces the one before: it is read, never queued.

    `loss` is nats per character, of the last step's batch; `perplexity` and
    `bits_per_character` are of that loss; `seconds_left` is None until a speed is known.
    """

    state: RunState
    step: int
    total_steps: int
    epoch: float
    loss: float | None
    perplexity: float | None
    bits_per_character: float | None
    held_out_loss: float | None
    best_held_out_loss: float | None
    gradient_norm: float | None
    learning_rate: float
    characters_per_second: float | None
    seconds: float
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A held-out evaluation: nats per character over `characters` predicted characters."""

    step: int
    loss: float
    characters: int
    best: bool


@dataclass(frozen=True, slots=True)
class Sampled:
    """A text that the network wrote, with all that is needed to write it again."""

    step: int
    prompt: str
    text: str
    seed: int
    temperature: float
    top_k: int
    top_p: float


@dataclass(frozen=True, slots=True)
class Checkpointed:
    """A checkpoint that is whole and flushed to disk."""

    step: int
    path: Path


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The run's new state."""

    state: RunState


@dataclass(frozen=True, slots=True)
class Warned:
    """Something that a person should know and that does not stop the work."""

    message: str


@dataclass(frozen=True, slots=True)
class Noted:
    """Something that was decided and that a person may like to know, such as the network that a
    budget was found to be best spent on."""

    message: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The run ended by an error; `message` is its sentence, `error` the exception itself."""

    message: str
    error: Exception


@dataclass(frozen=True, slots=True)
class Finished:
    """The run's end. `loss` is the training loss, `held_out_loss` that of the best weights."""

    run: Path
    step: int
    loss: float | None
    held_out_loss: float | None
    perplexity: float | None
    bits_per_character: float | None
    characters_per_second: float
    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as it lies open: what a screen or a script wants to look into.

    `vocabulary` holds (id, character, count), `letters` what the letters of symbolic shapes stand
    for here: (letter, meaning, size); `step` is that of the weights; `warnings` name checkpoints
    that are not whole; `metrics` and `samples` are the lines of the run's
    logs.
    """

    path: Path
    corpus_name: str
    corpus_path: str
    config: TrainingConfig
    step: int
    total_steps: int
    vocabulary: tuple[tuple[int, str, int], ...]
    tensors: tuple[TensorFacts, ...]
    flow: tuple[FlowFacts, ...]
    letters: tuple[tuple[str, str, int], ...]
    metrics: tuple[dict[str, Any], ...]
    samples: tuple[dict[str, Any], ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run in a list, as its newest checkpoint has it."""

    path: Path
    corpus_name: str
    created: str
    cell: str
    hidden: int
    layers: int
    step: int
    total_steps: int
    best_held_out_loss: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class CorpusView:
    """A text before anything is trained on it; `vocabulary` holds (id, character, count)."""

    path: str
    name: str
    songs: int
    characters: int
    vocabulary: tuple[tuple[int, str, int], ...]


Event = Evaluated | Sampled | Checkpointed | StateChanged | Warned | Noted | Failed | Finished


@dataclass(frozen=True, slots=True)
class Choice:
    """A character that might have stood in a place: how likely the network found it there, and
    whether the form allowed it."""

    text: str
    probability: float
    allowed: bool = True


@dataclass(frozen=True, slots=True)
class Character:
    """One generated character, and the probability that the network gave it when it was drawn
    (after temperature, top-k and top-p).

    In a form, `probability` is the network's own, `forbidden` the share of its choices that the
    form took away, and `choices` the likeliest characters, forbidden ones among them.
    """

    text: str
    probability: float
    forbidden: float = 0.0
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights that wrote a text: the run's folder, the step, and the digest (SHA-256 of every
    tensor in the order of the names)."""

    run: str
    step: int
    digest: str


@dataclass(frozen=True, slots=True)
class LineCandidate:
    """One way to write a line. `nats` is the network's own mean −ln p of a character, `copied` the
    share of characters that stand in `copies`; `seed` and `number` tell it from the others.
    `backward` is whether the network wrote it from its end."""

    text: str
    nats: float
    copied: float
    copies: tuple[Copy, ...]
    characters: tuple[Character, ...]
    seed: int
    number: int
    backward: bool = False
    weights: Weights | None = None


@dataclass(frozen=True, slots=True)
class LineMeasure:
    """A line of a lyric in form: what the form asked and what it got. `asked` and `length` count
    characters or syllables, `rhyme` is the form's letter, `sound` what the line rhymes on, `nats`
    the network's mean −ln p of a character."""

    text: str
    asked: int | None
    length: int
    rhyme: str
    sound: str
    nats: float
