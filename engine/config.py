"""Every setting of lyricrnn, checked in one place for files, flags and the API alike."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from engine.errors import ConfigError

Cell = Literal["rnn", "gru", "lstm"]
Implementation = Literal["fused", "scratch"]
InputKind = Literal["embedding", "one-hot"]
OutputKind = Literal["full", "tied"]
Sampling = Literal["adjacent", "random"]
SplitBy = Literal["song", "tail"]
Newline = Literal["keep", "space"]
Optimizer = Literal["sgd", "adam", "adamw", "muon"]
Shape = Literal["given", "searched"]
Schedule = Literal["cosine", "constant"]
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "fp32", "bf16"]
Protocol = Literal["stateful", "windows"]


class Settings(BaseModel):
    """A frozen group of settings; an unknown name or a value out of range is a `ConfigError`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(sentence_of(error)) from None

    def changed(self, **values: Any) -> Self:
        """The same settings with some replaced; None leaves a setting as it is."""
        given = {name: value for name, value in values.items() if value is not None}
        return type(self)(
            **{**{name: getattr(self, name) for name in self.__class__.model_fields}, **given}
        )


def sentence_of(error: ValidationError) -> str:
    """The first complaint of a validation as a sentence for a person."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    kind, context = first["type"], first.get("ctx", {})
    value = repr(first.get("input"))
    if kind == "extra_forbidden":
        return f"There is no setting called {name}."
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"{name} = {value} is not one of {context['expected'].replace(' or ', ', ')}."
    return f"{name} = {value} cannot be used: {first['msg'][0].lower()}{first['msg'][1:]}."


class ModelConfig(Settings):
    """The network's shape.

    `embedding` is the width of a character's vector (unused with one-hot input); dropout is the
    probability that a value is zeroed before, between and after the recurrent layers. A `tied`
    output compares a projection of the state with the characters' own vectors, instead of with
    weights of its own for each of them.
    """

    cell: Cell = "gru"
    implementation: Implementation = "fused"
    input: InputKind = "embedding"
    output: OutputKind = "full"
    embedding: int = Field(default=64, ge=1, le=8192)
    hidden: int = Field(default=384, ge=1, le=8192)
    layers: int = Field(default=1, ge=1, le=16)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    bidirectional: bool = False

    @model_validator(mode="after")
    def _tied_to_something(self) -> Self:
        if self.output == "tied" and self.input != "embedding":
            raise ValueError(
                "output = 'tied' shares the vectors of an embedding, which one-hot input lacks: "
                "use input = 'embedding'."
            )
        return self


class CorpusConfig(Settings):
    """How a text is read: `limit` keeps the first N characters (0: all), characters seen fewer
    than `min_count` times become `<unk>`, `held_out` is the share kept back from training.

    `encoding` is a name that Python knows (None: found out). `labels` such as `[Chorus]`, and
    marks such as `(x2)`, are kept, stripped, or made into `structure`: labels alike in brackets,
    and lines repeated as they are sung. `duplicates` that are kept stay on one side of the split.
    With `lines_reversed` the network reads every line from its end, so that it writes the rhyme
    first.
    """

    encoding: str | None = None
    trailing_space: Literal["keep", "strip"] = "keep"
    blank_lines: Literal["keep", "squeeze"] = "keep"
    labels: Literal["keep", "strip", "structure"] = "keep"
    credits: Literal["strip", "keep"] = "strip"
    duplicates: Literal["keep", "drop"] = "keep"
    script: Literal["keep", "simplified", "traditional"] = "keep"
    lines_reversed: bool = False
    newline: Newline = "keep"
    limit: int = Field(default=0, ge=0)
    min_count: int = Field(default=1, ge=1)
    split: SplitBy = "song"
    held_out: float = Field(default=0.1, ge=0, le=0.9)

    @model_validator(mode="after")
    def _with_lines_to_reverse(self) -> Self:
        if self.lines_reversed and self.newline == "space":
            raise ValueError(
                "lines_reversed needs the line ends that newline = 'space' takes away: use one of "
                "them."
            )
        return self

    def cleaned(self) -> Self:
        """The same with every step of cleaning that leaves the words as they are sung."""
        return self.changed(
            trailing_space="strip", blank_lines="squeeze", credits="strip", duplicates="drop"
        )


class TrainingConfig(Settings):
    """Everything that decides what a run learns; with one seed it is the same run every time.

    Exactly one of `steps`, `epochs` and `minutes` is the budget. `clip_norm` 0 turns clipping
    off, `patience` 0 turns early stopping off (it counts evaluations without a new best), and
    0 for `evaluate_every`, `checkpoint_every`, `sample_every` (all in steps) lets the plan choose.
    `warm_up` is a share of all steps. `threads` 0 uses every core. `shape` searched lets machine
    and text decide on network and batch, by what a budget of minutes is best spent on.
    """

    model: ModelConfig = ModelConfig()
    corpus: CorpusConfig = CorpusConfig()
    shape: Shape = "given"
    sampling: Sampling = "adjacent"
    batch: int = Field(default=64, ge=1, le=65536)
    time_steps: int = Field(default=64, ge=1, le=65536)
    optimizer: Optimizer = "muon"
    learning_rate: float = Field(default=1.2e-2, gt=0, le=1000)
    weight_decay: float = Field(default=0.05, ge=0, le=10)
    clip_norm: float = Field(default=1.0, ge=0)
    schedule: Schedule = "cosine"
    warm_up: float = Field(default=0.02, ge=0, le=1)
    steps: int | None = Field(default=None, ge=1)
    epochs: float | None = Field(default=None, gt=0, le=1e9)
    minutes: float | None = Field(default=None, gt=0, le=1e6)
    patience: int = Field(default=12, ge=0)
    evaluate_every: int = Field(default=0, ge=0)
    checkpoint_every: int = Field(default=0, ge=0)
    sample_every: int = Field(default=0, ge=0)
    keep_checkpoints: int = Field(default=3, ge=1)
    device: Device = "auto"
    precision: Precision = "auto"
    threads: int = Field(default=0, ge=0, le=4096)
    seed: int = Field(default=0, ge=0, lt=2**63)

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        given = [name for name in ("steps", "epochs", "minutes") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are both budgets: give one of them.")
        return self

    def with_budget(self, **budget: float | None) -> Self:
        """The same settings under another budget (`steps`, `epochs` or `minutes`), if one is
        given."""
        if all(value is None for value in budget.values()):
            return self
        fields = {name: getattr(self, name) for name in self.__class__.model_fields}
        fields.update(steps=None, epochs=None, minutes=None)
        return type(self)(**{**fields, **budget})


class GenerationConfig(Settings):
    """How characters are drawn.

    `length` counts the characters written after the prompt; 0 writes nothing. `temperature` 0 is
    greedy: always the likeliest character. `top_k` 0 and `top_p` 1 are off. `lines` stops after
    so many lines (0: only the length stops). A `seed` of None draws a fresh one, which is told.

    In a form, no more than `max_copy` characters in a row are taken from the songs (0: as many as
    come), and `look_ahead` lines are written for each that is kept: 1 takes the first.
    """

    length: int = Field(default=200, ge=0, le=10_000_000)
    temperature: float = Field(default=0.8, ge=0, le=100)
    top_k: int = Field(default=0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    lines: int = Field(default=0, ge=0)
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    max_copy: int = Field(default=0, ge=0, le=1000)
    look_ahead: int = Field(default=32, ge=1, le=1024)
