"""Names of runs: what a user may call one, and what becomes of it on the disk."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from archiver.errors import RunNameError

MAXIMAL_NAME_LENGTH = 150
FOLDER_SUFFIX = "_models"

DEVICES = r"(?i:CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])(?:\.[^/]*)?"
"""A pattern: what Windows takes for a device, whatever stands behind the first dot."""

_ALLOWED = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class RunName:
    """A run's name as it stands in files, beside what the user wrote."""

    name: str
    """Matches `[A-Za-z0-9._-]{1,150}`."""
    original: str
    condition: str | None = None
    architecture: str | None = None
    config: str | None = None

    def version(self, number: int) -> str:
        """The name of the `number`-th run of this name: the first keeps it, later ones end in `-2`, `-3`, ...

        Raises:
            RunNameError: the suffix makes it too long.
        """
        name = self.name if number == 1 else f"{self.name}-{number}"
        if len(name) > MAXIMAL_NAME_LENGTH:
            raise RunNameError(
                f"Received the name {name!r} of {len(name)} characters (version suffix included). "
                f"Expected at most {MAXIMAL_NAME_LENGTH}. Choose a shorter name."
            )
        return name


def folder_name(name: str) -> str:
    """The folder of the run `name`."""
    return name + FOLDER_SUFFIX


def run_name(
    name: str | None, condition: str | None = None, architecture: str | None = None, config: str | None = None
) -> RunName:
    """The run's name from `name`, or from all of `condition`, `architecture` and `config`.

    Spaces and characters outside ASCII become `_` (accents are dropped first: `é` becomes `e`).

    Raises:
        RunNameError: neither or both were given, or the name cannot be used.
    """
    parts = {"condition": condition, "architecture": architecture, "config": config}
    given = [key for key, value in parts.items() if value is not None]
    if (name is None) == (not given):
        raise RunNameError(
            f"Received name={name!r} and {', '.join(given) or 'no condition, architecture or config'}. "
            "Expected either `name`, or all of `condition`, `architecture` and `config`."
        )
    if name is not None:
        return _checked(RunName(_file_name("name", name), name))
    missing = [key for key in parts if key not in given]
    if missing:
        raise RunNameError(f"Received no {' and no '.join(missing)}. Expected all of condition, architecture, config.")
    cleaned = [_file_name(key, value) for key, value in parts.items()]
    return _checked(RunName("_".join(cleaned), "_".join(str(value) for value in parts.values()), *cleaned))


def _checked(name: RunName) -> RunName:
    name.version(1)
    if re.fullmatch(DEVICES, name.name):
        raise RunNameError(
            f"Received the name {name.original!r}, which Windows takes for a device, whatever stands behind its first "
            "dot. Expected a name that a file can have on every system. Choose another one."
        )
    return name


def _file_name(argument: str, value: object) -> str:
    if not isinstance(value, str):
        raise RunNameError(f"Received {argument}={value!r} ({type(value).__name__}). Expected text.")
    refused = _why_refused(value)
    if refused:
        raise RunNameError(
            f"Received {argument}={value!r}, which {refused}. Expected 1 to {MAXIMAL_NAME_LENGTH} characters out of "
            "letters, digits, '.', '_' and '-', beginning with a letter, a digit or '_' "
            "(spaces and other scripts are replaced by '_')."
        )
    decomposed = unicodedata.normalize("NFKD", value)
    without_accents = "".join(character for character in decomposed if not unicodedata.combining(character))
    return "".join(character if _ALLOWED.fullmatch(character) else "_" for character in without_accents)


def _why_refused(value: str) -> str | None:
    if not value.strip():
        return "is empty"
    if "/" in value or "\\" in value:
        return "has a path separator"
    if ".." in value:
        return "has '..'"
    if any(unicodedata.category(character) in ("Cc", "Cf", "Cs") for character in value):
        return "has a control character"
    if value[0] in ".-":
        return f"begins with {value[0]!r}"
    if len(value) > MAXIMAL_NAME_LENGTH:
        return f"has {len(value)} characters"
    unusual = next((c for c in value if c.isascii() and c != " " and not _ALLOWED.fullmatch(c)), None)
    return f"has the character {unusual!r}" if unusual else None
