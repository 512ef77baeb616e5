"""Errors a user can cause and mend. Each message says what is wrong, where, and what to do."""


class ConfigError(ValueError):
    """A configuration that cannot run: names the file, key, value and what is allowed."""


class DataError(ValueError):
    """A list, label, video or frame that cannot be used: names the file and line or index."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be read, written or matched to the model."""


class WriteError(CheckpointError):
    """A file of a run that cannot be written: the disk is full, a quota is used up, a right is missing."""


class ExportError(ValueError):
    """A model that cannot be exported, or whose exported program gives other results."""


class Interrupted(BaseException):
    """No error: the run stopped on a signal after writing a checkpoint; start it again to go on.

    Like KeyboardInterrupt it may come between any two lines, and is none of the exceptions that reading a damaged file,
    say, is expected to raise.
    """
