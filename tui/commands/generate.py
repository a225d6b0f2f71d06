"""`lyricrnn generate`: a lyric to standard output, character by character."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from engine.errors import ConfigError
from tui import display
from tui.commands import options, output
from tui.commands.options import flag, value
from tui.commands.signals import Signals

if TYPE_CHECKING:
    from engine.config import GenerationConfig
    from engine.session import TextStream

_A_LINE = 200  # characters that a line is given when only the number of lines was asked for
_CONTEXT = 32  # characters before the newest one that may decide how it is shown


def command(
    run: options.Run,
    prompt: Annotated[str, value("How the lyric begins; it goes on from there.", "TEXT")] = "",
    length: Annotated[int | None, value("Characters after the prompt (200).")] = None,
    lines: Annotated[int | None, value("Stops after so many lines.")] = None,
    temperature: Annotated[
        float | None, value("Below 1 safer, above 1 wilder, 0 greedy (0.8).", "T")
    ] = None,
    top_k: Annotated[
        int | None, value("Draws from the K likeliest characters; 0: from all.", "K")
    ] = None,
    top_p: Annotated[
        float | None, value("Draws from the likeliest that sum to P; 1: from all.", "P")
    ] = None,
    greedy: Annotated[bool, flag("--greedy", "Always the likeliest character.")] = False,
    seed: Annotated[
        int | None, value("The same seed writes the same text; left out, a new one.")
    ] = None,
    as_json: options.Json = False,
) -> Callable[[], int]:
    """Writes with a run's best weights: `lyricrnn generate latest --prompt "moon"`.

    On a terminal, control characters are made visible; a file or a pipe gets the text as it is.
    """

    def work() -> int:
        from engine.config import GenerationConfig

        if greedy and temperature:
            raise ConfigError("--greedy is --temperature 0: give one of them.")
        enough = _A_LINE * max(lines, 0) if lines and length is None else length
        config = GenerationConfig().changed(
            length=enough,
            lines=lines,
            temperature=0.0 if greedy else temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
        )
        return _generate(run, prompt, config, as_json=as_json)

    return work


def _generate(name: str, prompt: str, config: GenerationConfig, *, as_json: bool) -> int:
    with Signals() as signals:
        try:
            asyncio.run(_write(signals, name, prompt, config, as_json=as_json))
        except asyncio.CancelledError:
            if not as_json:
                output.write("\n")
    return signals.status


async def _write(
    signals: Signals, name: str, prompt: str, config: GenerationConfig, *, as_json: bool
) -> None:
    from engine.session import Engine
    from tui.commands.places import find_run

    signals.watch()
    async with Engine() as engine:
        view = await engine.open(find_run(name))
        for warning in view.warnings:
            output.warn(warning)
        stream = engine.generate(prompt, config)
        await stream.start()
        _say_first(stream)
        began = time.perf_counter()
        if as_json:
            async for _ in stream:
                pass
        else:
            await _show(stream)
        seconds = time.perf_counter() - began
    if as_json:
        output.write_json(
            {
                "run": view.path,
                "step": view.step,
                "prompt": prompt,
                "text": stream.text,
                "seed": stream.seed,
                "temperature": config.temperature,
                "top_k": config.top_k,
                "top_p": config.top_p,
                "skipped": stream.skipped,
                "characters_per_second": len(stream.text) / seconds,
            }
        )


def _say_first(stream: TextStream) -> None:
    """What a person should know before the text: characters left out, and the seed drawn."""
    if stream.skipped:
        named = " ".join(map(display.character_name, stream.skipped))
        output.warn(f"The network never saw these characters and skips them: {named}")
    if stream.config.seed is None and output.is_terminal(sys.stderr):
        output.tell(f"seed {stream.seed}", style="dim")


async def _show(stream: TextStream) -> None:
    """The prompt, then each character as it comes, and a line end."""
    on_terminal = output.is_terminal(sys.stdout)
    context = stream.prompt
    output.write(display.printable_stdout(context) if on_terminal else context)
    async for character in stream:
        new = character.text
        if on_terminal:
            before = display.printable_stdout(context)
            new = display.printable_stdout(context + new)[len(before) :]
            context = (context + character.text)[-_CONTEXT:]
        output.write(new)
    output.write("\n")
