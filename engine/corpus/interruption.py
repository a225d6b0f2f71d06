"""Long work on a text that can be given up in the middle."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from engine.errors import Interrupted

T = TypeVar("T")

Stopped = Callable[[], bool]
"""Whether the work is no longer wanted; asked often, from the thread that does it."""


def never() -> bool:
    """For work that is carried through."""
    return False


def until(stopped: Stopped, items: Iterable[T]) -> Iterator[T]:
    """The items, one after another. Raises Interrupted before the next one once `stopped()`."""
    for item in items:
        if stopped():
            raise Interrupted(
                "The text was not looked into to its end, because another one was asked for or "
                "the engine closes: ask for it again."
            )
        yield item
