"""Every error archiver raises on purpose, each with the exit code the command line ends with.

Exit codes 0 (whole), 1 (findings) and 2 (usage) are conventions of the command line; the classes below add one code
per kind of failure, so that a script can tell them apart.
"""

from __future__ import annotations

from typing import ClassVar


class ArchiverError(Exception):
    """Base of all errors raised on purpose."""

    exit_code: ClassVar[int] = 3


class FindingsError(ArchiverError):
    """`VerifyReport.raise_for_findings()`: the archive is not whole."""

    exit_code = 1


class ArgumentError(ArchiverError, ValueError):
    """An argument has a value that cannot be used; the message says what was received and what is expected."""

    exit_code = 2


class RunNameError(ArgumentError):
    """A run's name that cannot be a file name on every system."""


class NotAnArchiveError(ArchiverError):
    """The path exists not, or is no archive."""

    exit_code = 4


class FormatVersionError(ArchiverError):
    """The archive was written by a newer version of the format."""

    exit_code = 5


class RecordError(ArchiverError):
    """A record cannot be read: broken JSON, a missing field, a value of the wrong type."""

    exit_code = 6


class RunStateError(ArchiverError):
    """The run is not in the state the request needs (still training, already there, not yet begun)."""

    exit_code = 7


class StorageError(ArchiverError, OSError):
    """The file system refused: full, read-only, not permitted."""

    exit_code = 8


class MissingExtraError(ArchiverError, ImportError):
    """A library is needed that is not installed; the message names the command that installs it."""

    exit_code = 9


class ChangedWeightsError(ArchiverError):
    """The live model no longer has the weights that the archive holds."""

    exit_code = 10


class DataError(ArchiverError, ValueError):
    """Data that does not fit the model or the class names."""

    exit_code = 11


class UnsafeFileError(ArchiverError):
    """A file of a stranger asks for more than reading it may cost, or for something that reading must not do.

    The message says which file, where in it, what was received and what the limit is.
    """

    exit_code = 12


class UnsafePathError(UnsafeFileError, ValueError):
    """A path that could lead out of its folder, or that some system cannot have."""


class DamagedFileError(ArchiverError):
    """A file is not what its format asks for: cut short, changed, or without a part that must be there."""

    exit_code = 13


class MemoryLimitError(ArchiverError):
    """Work was stopped because memory would have run out; what is done stays, and can be gone on with."""

    exit_code = 14


class SecretsFoundError(ArchiverError):
    """What looks like a token or a password stands in an archive that is to be sealed or handed over."""

    exit_code = 15


class PrivacyError(ArchiverError):
    """A public copy would hold something that was to be left out of it."""

    exit_code = 16


class CannotReproduceError(ArchiverError):
    """A run cannot be repeated from its archive; the message names all that is missing."""

    exit_code = 17


class RemoteError(ArchiverError):
    """A store of another machine cannot be reached, or refused; what lies here is as it was."""

    exit_code = 18


class ArchiverWarning(UserWarning):
    """Something could not be archived as asked; training is not affected."""
