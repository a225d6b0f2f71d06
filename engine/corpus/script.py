"""Traditional ↔ simplified Chinese, on request, by OpenCC (the extra `opencc`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from engine.errors import ConfigError

Script = Literal["keep", "simplified", "traditional"]

_CONVERSIONS = {"simplified": "t2s", "traditional": "s2t"}


def converter(script: Script) -> Callable[[str], str]:
    """What turns a text into that script. Raises ConfigError where OpenCC is not installed."""
    if script == "keep":
        return lambda text: text
    try:
        from opencc import OpenCC
    except ImportError:
        raise ConfigError(
            f"script = {script} needs OpenCC: install it with `pip install 'lyricrnn[opencc]'`."
        ) from None
    convert: Callable[[str], str] = OpenCC(_CONVERSIONS[script]).convert
    return convert
