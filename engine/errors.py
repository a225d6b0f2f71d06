"""Every error that a person may meet: one sentence that says what, which, and what to do now."""

from __future__ import annotations


class LyricError(Exception):
    """A failure that is reported in one sentence; `exit_status` is the command line's."""

    exit_status = 1


class Interrupted(LyricError):
    """Work that was given up because it was no longer wanted; nothing was written."""


class InputError(LyricError):
    """Wrong use, or an input that cannot be used."""

    exit_status = 2


class CorpusError(InputError):
    """A text that is missing, empty, unreadable, binary, or too short to learn from."""


class ConfigError(InputError):
    """A setting that is unknown, out of range, or at odds with another."""


class PromptError(InputError):
    """A request to generate that this network cannot serve."""


class FormError(InputError):
    """A form that contradicts itself, or that cannot be met with this vocabulary."""


class DraftError(InputError):
    """A draft that cannot be read or written, or a change that it refuses."""


class DeviceError(InputError):
    """A device that this machine does not have."""


class RunError(InputError):
    """A folder that is not a run, or a run that does not fit what is asked of it."""


class RunLockedError(RunError):
    """A run that another process is writing."""


class CheckpointError(LyricError):
    """A checkpoint that could not be written, or that fails its own hashes."""
