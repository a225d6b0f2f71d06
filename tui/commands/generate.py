"""`lyricrnn generate`: a lyric to standard output, character by character."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from engine.errors import ConfigError
from tui import display
from tui.commands import options, output
from tui.commands.options import choice, flag, value
from tui.commands.signals import Signals

if TYPE_CHECKING:
    from engine.config import GenerationConfig
    from engine.events import RunView
    from engine.session import Engine, TextStream
    from engine.writing.form import Form

_A_LINE = 200  # characters that a line is given when only the number of lines was asked for
_FORM = "The form"
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
    line_length: Annotated[
        str | None,
        value("Characters (English: syllables) a line: 7, or 7,5,7,5, or 4+5,7.", "N,N", _FORM),
    ] = None,
    rhyme: Annotated[
        str | None,
        value(
            "Which lines rhyme: AABB, XAXA (X: free), (AA)B (one within), 一韵到底.",
            "SCHEME",
            _FORM,
        ),
    ] = None,
    acrostic: Annotated[
        str | None, value("How lines begin, a character each.", "TEXT", _FORM)
    ] = None,
    tune: Annotated[
        str | None, value("The lines and rhymes of a tune (词牌) of the songs.", "NAME", _FORM)
    ] = None,
    form: Annotated[str | None, value("A form in TOML, instead of these.", "FILE", _FORM)] = None,
    unit: Annotated[
        str | None,
        choice("What lengths count; left out, as the songs are.", "characters|syllables", _FORM),
    ] = None,
    syllables: Annotated[
        str | None,
        value("Words you sing otherwise than the dictionary: fire=1,poem=2.", "W=N", _FORM),
    ] = None,
    rhymes: Annotated[
        str | None, choice("What Mandarin rhymes by (十三辙).", "十三辙|新韵|通韵", _FORM)
    ] = None,
    tones: Annotated[
        bool, flag("--tones", "Mandarin rhymes agree in 平 or 仄 too.", _FORM)
    ] = False,
    slant: Annotated[bool, flag("--slant", "English family rhymes will do.", _FORM)] = False,
    max_copy: Annotated[
        int | None,
        value("At most N characters in a row from the songs; 0: as they come.", "N", _FORM),
    ] = None,
    look_ahead: Annotated[
        int | None, value("Lines tried for each that is kept (32).", "N", _FORM)
    ] = None,
    candidates: Annotated[
        int, value("Shows N ways to write the first line instead.", "N", _FORM)
    ] = 0,
    as_json: options.Json = False,
) -> Callable[[], int]:
    """Writes with a run's best weights: `lyricrnn generate latest --prompt "moon"`.

    On a terminal, control characters are made visible; a file or a pipe gets the text as it is.
    """

    def work() -> int:
        from engine.config import GenerationConfig
        from engine.writing.form import Form

        if greedy and temperature:
            raise ConfigError("--greedy is --temperature 0: give one of them.")
        settings = {"unit": unit, "rhymes": rhymes, "tones": tones, "slant": slant}
        settings["syllables"] = syllables
        given = {name: value for name, value in settings.items() if value}
        asked: Form | None = None
        if form is not None or tune is not None:
            if line_length or rhyme or acrostic or given or (form and tune):
                raise ConfigError(
                    f"--{'form' if form else 'tune'} says all about the form: leave the other "
                    "options of it out."
                )
            asked = Form.load(form) if form else None
        elif line_length or rhyme or acrostic:
            asked = Form.of(
                lines=lines or 0,
                line_length=line_length or "",
                rhyme=rhyme or "",
                acrostic=acrostic or "",
                **given,
            )
        elif given:
            raise ConfigError(
                f"--{next(iter(given))} belongs to a form: give --line-length, --rhyme or "
                "--acrostic with it."
            )
        enough = _A_LINE * max(lines, 0) if lines and length is None else length
        config = GenerationConfig().changed(
            length=enough,
            lines=lines,
            temperature=0.0 if greedy else temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            max_copy=max_copy,
            look_ahead=look_ahead,
        )
        text = _Text(run, prompt, config, asked, tune, as_json)
        return _to_the_end(_propose(text, candidates) if candidates else _write(text), as_json)

    return work


@dataclass(frozen=True)
class _Text:
    """What was asked for."""

    run: str
    prompt: str
    config: GenerationConfig
    form: Form | None
    tune: str | None
    as_json: bool

    async def resolved(self, engine: Engine) -> _Text:
        """With the form of the tune; a tune's name stands above its words, as in the songs."""
        if self.tune is None:
            return self
        return replace(
            self, form=await engine.tune(self.tune), prompt=self.prompt or f"{self.tune}\n"
        )


def _to_the_end(work: Callable[[Signals], Coroutine[None, None, None]], as_json: bool) -> int:
    with Signals() as signals:
        try:
            asyncio.run(work(signals))
        except asyncio.CancelledError:
            if not as_json:
                output.write("\n")
    return signals.status


async def _opened(engine: Engine, name: str) -> RunView:
    from tui.commands.places import find_run

    view = await engine.open(find_run(name))
    for warning in view.warnings:
        output.warn(warning)
    return view


def _write(text: _Text) -> Callable[[Signals], Coroutine[None, None, None]]:
    async def work(signals: Signals) -> None:
        from engine.session import Engine

        signals.watch()
        async with Engine() as engine:
            view = await _opened(engine, text.run)
            asked = await text.resolved(engine)
            stream = engine.generate(asked.prompt, text.config, form=asked.form)
            await stream.start()
            _say_first(stream)
            began = time.perf_counter()
            if text.as_json:
                async for _ in stream:
                    pass
            else:
                await _show(stream)
            seconds = time.perf_counter() - began
        if text.as_json:
            output.write_json(_as_json(view, stream, seconds))

    return work


def _as_json(view: RunView, stream: TextStream, seconds: float) -> dict[str, Any]:
    config = stream.config
    found = {
        "run": view.path,
        "step": view.step,
        "prompt": stream.prompt,
        "text": stream.text,
        "seed": stream.seed,
        "temperature": config.temperature,
        "top_k": config.top_k,
        "top_p": config.top_p,
        "skipped": stream.skipped,
        "characters_per_second": len(stream.text) / seconds,
    }
    if stream.lines:
        found["lines"] = [asdict(line) for line in stream.lines]
    return found


def _propose(text: _Text, count: int) -> Callable[[Signals], Coroutine[None, None, None]]:
    async def work(signals: Signals) -> None:
        from engine.session import Engine

        signals.watch()
        async with Engine() as engine:
            view = await _opened(engine, text.run)
            asked = await text.resolved(engine)
            before, end, beginning = asked.prompt.rpartition("\n")
            found = await engine.candidates(
                asked.form, 0, text.config, count=count, before=before + end, beginning=beginning
            )
        if text.as_json:
            output.write_json(
                {
                    "run": view.path,
                    "step": view.step,
                    "prompt": text.prompt,
                    "seed": found[0].seed,
                    "candidates": [
                        {"text": one.text, "nats": one.nats, "copied": one.copied} for one in found
                    ],
                }
            )
            return
        output.show(
            output.table(
                [output.Column("line"), output.number("nats a character"), output.number("copied")],
                [(one.text, display.loss(one.nats), f"{one.copied:.0%}") for one in found],
            )
        )

    return work


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
