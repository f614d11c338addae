"""Running git in a repository that may be anybody's, so that git only reads.

A repository's own configuration can name programs: hooks, a file system monitor, external diffs, text converters,
content filters, transports. None of them is run. Nor is the index refreshed on the disk: git gets a copy of it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar, cast

from archiver.collect.command import recordable
from archiver.collect.redaction import redact_text
from archiver.records.base import Unavailable

if TYPE_CHECKING:
    from git.cmd import Git

T = TypeVar("T")

TIMEOUT_SECONDS = 60.0
CHUNK_BYTES = 1 << 16

_FOREIGN_VARIABLES = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_ATTR_SOURCE", "GIT_COMMON_DIR", "GIT_CONFIG", "GIT_DIFF_OPTS", "GIT_DIR",
    "GIT_EXTERNAL_DIFF", "GIT_GRAFT_FILE", "GIT_ICASE_PATHSPECS", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE",
    "GIT_GLOB_PATHSPECS", "GIT_LITERAL_PATHSPECS", "GIT_NAMESPACE", "GIT_NOGLOB_PATHSPECS", "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX", "GIT_QUARANTINE_PATH", "GIT_REPLACE_REF_BASE", "GIT_SHALLOW_FILE", "GIT_WORK_TREE",
)  # fmt: skip
"""Set inside hooks and by users of bare repositories; they would make git tell about another repository."""

_READ_ONLY = (
    "--no-pager", "--no-replace-objects",
    "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "-c", "core.splitIndex=false",
    "-c", "core.safecrlf=false", "-c", "core.pager=cat", "-c", "credential.helper=",
)  # fmt: skip

_ENVIRONMENT = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
}


class GitRefusedError(Exception):
    """git ended with an error, did not end in time, or is not there; the message is one line."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        """git's exit status; 1 often means "there is none"."""


@dataclass
class CappedBytes:
    """A stream that keeps the first `maximal_bytes` written to it and counts the rest."""

    maximal_bytes: int
    size_bytes: int = 0
    _blocks: list[bytes] = field(default_factory=list)

    def write(self, data: bytes) -> int:
        """Take `data`."""
        room = self.maximal_bytes - self.size_bytes
        if room > 0:
            self._blocks.append(data[:room])
        self.size_bytes += len(data)
        return len(data)

    def getvalue(self) -> bytes:
        """What was kept."""
        return b"".join(self._blocks)


@dataclass(frozen=True)
class Repository:
    """Where git is run, and what keeps it harmless there."""

    folder: Path
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str) -> bytes:
        """The output of `git <arguments>`.

        Raises:
            GitRefusedError: with git's first line of complaint.
        """
        return self._run(arguments, None)

    def text(self, *arguments: str) -> str:
        """The output of `git <arguments>` as text, its line feed removed; bytes that are no text as escapes."""
        return self.run(*arguments).decode("utf-8", "backslashreplace").rstrip("\n")

    def words(self, *arguments: str) -> list[str]:
        """The output of a git command with `-z`; names that are no text keep their bytes as half characters."""
        return [os.fsdecode(word) for word in self.run(*arguments).split(b"\0") if word]

    def settings(self, pattern: str, *file: str) -> dict[tuple[str, str], str]:
        """{(subsection, variable): value} of `section.subsection.variable`; the first value where there are several."""
        try:
            words = self.words("config", *file, "-z", "--get-regexp", pattern)
        except GitRefusedError as error:
            if error.status == 1:
                return {}
            raise
        settings: dict[tuple[str, str], str] = {}
        for word in words:
            key, _, value = word.partition("\n")
            name, _, variable = key.partition(".")[2].rpartition(".")
            settings.setdefault((name, variable), value)
        return settings

    def capped(self, maximal_bytes: int, *arguments: str) -> CappedBytes:
        """The output of `git <arguments>`, of which `maximal_bytes` are kept."""
        output = CappedBytes(maximal_bytes)
        self._run(arguments, output)
        return output

    def _run(self, arguments: Sequence[str], output: CappedBytes | None) -> bytes:
        git = _git(self.folder)
        from git.exc import GitError

        try:
            status, stdout, stderr = git.execute(
                self._command(str(git.GIT_PYTHON_GIT_EXECUTABLE or "git"), arguments),
                with_extended_output=True,
                with_exceptions=False,
                stdout_as_string=False,
                strip_newline_in_stdout=False,
                kill_after_timeout=_timeout_seconds(),
                env=_ENVIRONMENT | self.environment,
                output_stream=cast("IO[bytes] | None", output),
                max_chunk_size=CHUNK_BYTES,
            )
        except (GitError, OSError, RuntimeError, ValueError) as error:
            raise GitRefusedError(f"git could not be run: {type(error).__name__}") from error
        if status:
            raise GitRefusedError(_complaint(stderr), status)
        return b"" if output is not None else stdout

    def _command(self, program: str, arguments: Sequence[str]) -> list[str]:
        # GitPython can add variables, not take away those this process has: `env` does.
        without = [word for name in _FOREIGN_VARIABLES if name in os.environ for word in ("-u", name)]
        return [*(["env", *without] if without else []), program, *_READ_ONLY, *self.options, *arguments]


def _timeout_seconds() -> float | None:
    """GitPython watches the time on a thread of its own, and while Python ends, none can be started."""
    return TIMEOUT_SECONDS if threading.main_thread().is_alive() else None


def git_version() -> str:
    """The version of the git program.

    Raises:
        GitRefusedError: there is none.
    """
    return Repository(Path(os.sep)).text("--version").removeprefix("git version ")


def repository_root(folder: Path) -> Path | None:
    """Top folder of the working tree that holds `folder`; None where there is none, or git refuses to look at it."""
    try:
        return Path(os.fsdecode(Repository(folder).run("rev-parse", "--show-toplevel")[:-1]))
    except GitRefusedError:
        return None


def refusal(error: GitRefusedError) -> Unavailable:
    """The error as a record, without secrets."""
    return Unavailable(unavailable=recordable(redact_text(str(error))))


def attempt_git(function: Callable[[], T]) -> T | Unavailable:
    """What `function` returns, or why git refused."""
    try:
        return function()
    except GitRefusedError as error:
        return refusal(error)


def _git(folder: Path) -> Git:
    try:
        from git.cmd import Git
    except ImportError as error:
        raise GitRefusedError("there is no git program, or GitPython is not installed") from error
    if not folder.is_dir():  # GitPython would run it in the current folder instead
        raise GitRefusedError("the folder does not exist")
    return Git(folder)


def _complaint(stderr: str | bytes | None) -> str:
    text = stderr.decode("utf-8", "replace") if isinstance(stderr, bytes) else stderr or ""
    if "dubious ownership" in text:
        return "git refuses: the repository belongs to another user (see safe.directory in git's manual)"
    if text.startswith("Timeout"):
        return f"git did not end within {TIMEOUT_SECONDS:g} seconds"
    lines = [line for line in text.splitlines() if line.startswith(("fatal: ", "error: "))] or text.splitlines()
    return lines[0] if lines else "git failed without a word"


@contextlib.contextmanager
def guarded(folder: Path) -> Iterator[tuple[Repository, tuple[str, ...]]]:
    """A repository for commands that look at the working tree: with a copy of the index, and without the content
    filters that its own configuration names, which are the second value.

    Filters of the user's and the machine's configuration, such as git-lfs, are run as always.

    Raises:
        GitRefusedError: the repository cannot be looked at safely.
    """
    plain = Repository(folder)
    options, names = _filters_off(plain)
    with tempfile.TemporaryDirectory(prefix="archiver-git-") as temporary:
        index = Path(temporary, "index")
        with contextlib.suppress(FileNotFoundError):
            # With its time: git goes by it to tell whether a file may have changed right after it was added.
            shutil.copy2(Path(folder, os.fsdecode(plain.run("rev-parse", "--git-path", "index")[:-1])), index)
        yield Repository(folder, options, {"GIT_INDEX_FILE": str(index)}), names


def _filters_off(repository: Repository) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Options that give every content filter the value it has without the repository's own configuration."""
    effective = _filter_settings(repository)
    trusted = _filter_settings(repository, "--system") | _filter_settings(repository, "--global") if effective else {}
    foreign = sorted({key.rpartition(".")[0] for key, value in effective.items() if trusted.get(key) != value})
    if any("=" in name or "\n" in name for name in foreign):
        raise GitRefusedError("its configuration has a content filter whose name cannot be switched off")
    # Only what is set: an empty `process` would switch `clean` off too.
    keys = [key for key in effective if key.rpartition(".")[0] in foreign]
    nothing = {key: "false" if key.endswith(".required") else "" for key in keys}
    options = [option for key in keys for option in ("-c", f"{key}={trusted.get(key, nothing[key])}")]
    return tuple(options), tuple(name.removeprefix("filter.") for name in foreign)


def _filter_settings(repository: Repository, *scope: str) -> dict[str, str]:
    try:
        words = repository.words("config", *scope, "--includes", "-z", "--get-regexp", r"^filter\..*")
    except GitRefusedError as error:
        if error.status == 1 or scope:
            return {}
        raise
    return {key: value for key, _, value in (word.partition("\n") for word in words)}
