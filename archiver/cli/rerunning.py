"""Running the recorded command of a run again."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from archiver import layout
from archiver.archive.findings import printable
from archiver.archive.run import Run
from archiver.archive.snapshots import RESUME_VARIABLE
from archiver.collect.redaction import REDACTED
from archiver.errors import RunStateError
from archiver.records.base import Unavailable


@dataclass(frozen=True)
class RecordedCommand:
    """A command of an archive, as it would be run here."""

    words: tuple[str, ...]
    folder: Path

    @property
    def text(self) -> str:
        """For a terminal, quoted as a shell would need it."""
        return printable(shlex.join(self.words))


def command_of(run: Run) -> RecordedCommand:
    """The command that made a run.

    Raises:
        RunStateError: it was not recorded whole, or cannot be run again.
        RecordError: there is no record of it.
    """
    command = run.read(layout.RUN).command
    hint = "Run the script again yourself, with resume=True."
    if isinstance(command, Unavailable):
        raise RunStateError(f"{run.path}: its command is not known ({command.unavailable}). {hint}")
    if command.redacted:
        raise RunStateError(f"{run.path}: secrets were taken out of its command ({REDACTED}). {hint}")
    if command.start not in ("script", "module") or command.target is None:
        raise RunStateError(f"{run.path}: it was started as {command.start}, which cannot be run again. {hint}")
    if isinstance(command.interpreter, Unavailable) or isinstance(command.working_directory, Unavailable):
        raise RunStateError(f"{run.path}: its interpreter or its folder are not known. {hint}")
    target = ("-m", command.target) if command.start == "module" else (command.target,)
    folder = Path(command.working_directory).expanduser()
    if not folder.is_dir():
        raise RunStateError(f"{run.path}: its folder {printable(str(folder))} is not there. {hint}")
    words = (command.interpreter, *command.interpreter_options, *target, *command.arguments)
    return RecordedCommand(tuple(os.path.expanduser(word) for word in words), folder)


def run_again(run: Run, command: RecordedCommand) -> int:
    """Run it to its end.

    Returns:
        its exit code; as a shell has it for a signal.

    Raises:
        RunStateError: it cannot be started.
    """
    environment = os.environ | {RESUME_VARIABLE: str(run.path.resolve())}
    try:
        code = subprocess.run(command.words, cwd=command.folder, env=environment, check=False).returncode
    except OSError as error:
        raise RunStateError(f"{command.words[0]} cannot be started: {error.strerror or error}.") from error
    return 128 - code if code < 0 else code
