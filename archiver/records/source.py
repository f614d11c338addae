"""What ran: the command, and the source files."""

from typing import ClassVar, Literal

from archiver.records.base import Count, Part, Record, Sha256, Unavailable, UtcTime

StartKind = Literal["script", "module", "code", "standard_input", "interactive"]
"""How Python was started: `python file`, `python -m module`, `python -c code`, `python < file`, at a prompt."""

SourceRole = Literal["entry", "cells", "module", "untracked"]
"""Why a file belongs to the source: it was started, it holds the cells of a notebook, it was imported, or git does not
track it yet."""


class CommandPart(Part):
    """The command that started the process. Secrets are replaced by `[redacted]`, the home folder by `~`."""

    start: StartKind
    target: str | None
    """The script, the module's name, or the code."""
    arguments: tuple[str, ...]
    """What followed the target."""
    interpreter: str | Unavailable
    """The Python program."""
    interpreter_options: tuple[str, ...]
    """Options of Python itself, before the target."""
    working_directory: str | Unavailable
    redacted: bool
    """Whether a secret was taken out: such a command does not run as it stands."""


class SourceFilePart(Part):
    """One copied file, byte for byte; the cells of a notebook are written as a script."""

    path: str
    """In the archive."""
    original_path: str
    """Relative to the root, or absolute (`~` for the home folder) outside it."""
    role: SourceRole
    module: str | None = None
    """The name it was imported by."""
    size_bytes: Count
    sha256: Sha256


class LeftOutPart(Part):
    """A file that belongs to the source and was not copied, or a folder of such files (its path ends with `/`)."""

    original_path: str
    role: SourceRole
    module: str | None = None
    size_bytes: Count | Unavailable
    reason: str


class NotebookPart(Part):
    """The cells that IPython had run when `fit` or `finalize` was called last, in a notebook or at its prompt, in the
    order in which they were run; one that ran twice stands there twice. Secrets are replaced by `[redacted]`."""

    cells: str | Unavailable
    """Path in the archive of the script that holds them, each behind a line `# %% [number]`."""
    cell_count: Count
    left_out_count: Count
    """The earliest cells, for want of room."""
    redacted: bool
    """Whether a secret was taken out."""
    notebook: str | Unavailable
    """Path of the notebook."""


class SourceRecord(Record):
    """`environment/source.json`: the entry script or the cells of the notebook, the local modules that were imported,
    and untracked source files."""

    KIND: ClassVar[str] = "source"
    kind: Literal["source"] = "source"
    collected: UtcTime
    root: str | Unavailable
    """The folder that `environment/source/` mirrors: the top of the repository, else the entry script's folder."""
    entry: str | Unavailable
    """Path in the archive of what was started; in a notebook, of its cells."""
    notebook: NotebookPart | None = None
    """null: IPython did not run."""
    files: tuple[SourceFilePart, ...]
    total_bytes: Count
    left_out: tuple[LeftOutPart, ...]
    """The first ones."""
    left_out_count: Count
