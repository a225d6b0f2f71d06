"""What a network was asked for a line, and how a draft remembers it, to be asked again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from engine.config import GenerationConfig
from engine.errors import DraftError, InputError
from engine.events import LineCandidate
from engine.writing.draft import Model
from engine.writing.form import Form

_DRAWN = ("temperature", "top_k", "top_p", "max_copy", "look_ahead")  # of a GenerationConfig


@dataclass(frozen=True, slots=True)
class LineRequest:
    """One line: of which form (TOML; "": none) and which line of it, below what text, beside which
    other lines of the form, beginning how, other than what, and how many ways to write it."""

    config: GenerationConfig
    form: str = ""
    index: int = 0
    before: str = ""
    others: Mapping[int, str] = field(default_factory=dict)
    beginning: str = ""
    besides: tuple[str, ...] = ()
    count: int = 1

    def arguments(self) -> dict[str, Any]:
        """As `Engine.candidates` takes them."""
        return {
            "form": Form.from_toml(self.form) if self.form else None,
            "index": self.index if self.form else 0,
            "config": self.config,
            "count": self.count,
            "before": self.before,
            "others": dict(self.others) if self.form else {},
            "beginning": self.beginning,
            "besides": self.besides,
        }

    def author(self, found: LineCandidate) -> Model:
        """Who wrote one of the lines that were found, with all that it takes to write it again."""
        weights = found.weights
        assert weights is not None, "an Engine's candidates name their weights"
        return Model(
            run=weights.run,
            step=weights.step,
            weights=weights.digest,
            seed=found.seed,
            settings={
                **{name: getattr(self.config, name) for name in _DRAWN},
                "form": self.form,
                "index": self.index,
                "before": self.before,
                "beginning": self.beginning,
                "others": json.dumps(dict(self.others), ensure_ascii=False),
                "besides": json.dumps(self.besides, ensure_ascii=False),
                "count": self.count,
            },
            candidate=found.number,
        )

    @classmethod
    def of(cls, author: Model) -> Self:
        """What that author was asked. Raises DraftError where the draft does not say."""
        told: Mapping[str, Any] = author.settings
        try:
            drawn = {name: told[name] for name in _DRAWN}
            others = json.loads(told["others"])
            asked = cls(
                config=GenerationConfig(**drawn, seed=author.seed),
                form=told["form"],
                index=told["index"],
                before=told["before"],
                others={int(index): str(line) for index, line in others.items()},
                beginning=told["beginning"],
                besides=tuple(map(str, json.loads(told["besides"]))),
                count=told["count"],
            )
            asked.arguments()
        except (KeyError, TypeError, ValueError, AttributeError, InputError):
            raise DraftError(
                "The draft does not say all that the network was asked for this line, so it "
                "cannot be written again."
            ) from None
        return asked
