"""Errors that a user can mend.

Every message is one sentence that says what is wrong, where (file, config key
or parameter), and what to do about it.
"""

__all__ = ['CheckpointError', 'ConfigError', 'DataError', 'FeaturesGotWorseError', 'MIMError', 'NonFiniteLossError']


class MIMError(ValueError):
    """Base of all errors that mim_plugin raises on purpose."""


class ConfigError(MIMError):
    """A config key or argument has a value that cannot work."""


class DataError(MIMError):
    """A data folder or file is missing, empty or damaged."""


class CheckpointError(MIMError):
    """A checkpoint is missing, damaged, unsafe or does not fit the model."""


class NonFiniteLossError(MIMError):
    """The training loss became infinite or not a number."""


class FeaturesGotWorseError(MIMError):
    """A training made the features worse than those that it started from."""
