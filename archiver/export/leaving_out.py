"""What a public copy leaves out of the records, always and as chosen."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from archiver import layout
from archiver.archive.run import Run
from archiver.errors import ArgumentError
from archiver.export.identity import unavailable

Choice = Literal[
    "environment", "arguments", "remote", "patch", "source", "git", "packages", "traces", "predictions", "files"
]

DEFAULT: tuple[Choice, ...] = ("environment", "arguments", "remote", "patch")
CHOICES: dict[Choice, str] = {
    "environment": "environment variables",
    "arguments": "arguments of the command line",
    "remote": "addresses of the repository and its submodules",
    "patch": "uncommitted changes",
    "source": "source files and notebook cells",
    "git": "everything about the repository, uncommitted changes too",
    "packages": "installed packages",
    "traces": "time series of memory, processors and temperatures",
    "predictions": "predictions on the test data and their targets",
    "files": "files that the user added",
}
"""What can be left out."""

ALWAYS = ("host names", "user names", "absolute paths", "process and boot numbers")
REASON = "left out of this public copy"

_LEFT_OUT = "<left out>"
_OF_OTHER_HOSTS = (layout.WORKERS, layout.WORKER_EVENTS, layout.WORKER_SYSTEM, layout.WORKER_TRACES)
"""Always: who else trained along, with the names of these hosts."""
_FILES: dict[str, tuple[layout.ArchiveFile, ...]] = {
    "patch": (layout.PATCH, layout.SUBMODULES_PATCH),
    "git": (layout.PATCH, layout.SUBMODULES_PATCH),
    "source": (layout.SOURCE_FILES,),
    "packages": (layout.PACKAGES, layout.LOCK),
    "traces": (layout.TRACES,),
    "predictions": (layout.PREDICTIONS,),
    "files": (layout.ADDED_FILES,),
}


def chosen(leave_out: Collection[str], keep: Collection[str]) -> tuple[Choice, ...]:
    """What goes, in the order of the table.

    Raises:
        ArgumentError: there is no such thing, or it is both to go and to stay.
    """
    unknown = [each for each in (*leave_out, *keep) if each not in CHOICES]
    if unknown:
        raise ArgumentError(f"Received {unknown[0]!r}. Expected some of {', '.join(CHOICES)}.")
    both = set(leave_out) & set(keep)
    if both:
        raise ArgumentError(f"Received {sorted(both)[0]!r} both to leave out and to keep. Expected one of the two.")
    return tuple(each for each in CHOICES if (each in DEFAULT or each in leave_out) and each not in keep)


def is_left_out(run: Run, path: str, choices: Collection[str]) -> bool:
    """Whether a file goes as a whole."""
    files = (file for choice in choices for file in _FILES.get(choice, ()))
    return any(file.matches(path, run.name) for file in (*_OF_OTHER_HOSTS, *files))


def edited(kind: str, record: dict[str, Any], choices: Collection[str]) -> dict[str, Any]:
    """A record without what goes, names and paths apart."""
    edit = {"run": _run, "system": _system, "git": _git, "source": _source, "results": _results}.get(kind)
    if edit is not None:
        edit(record, choices)
    return record


def edited_event(details: dict[str, Any]) -> dict[str, Any]:
    """The details of a journal's event, likewise."""
    if isinstance(details.get("process"), dict):
        details["process"] = _process(details["process"])
    return details


def _process(process: dict[str, Any]) -> dict[str, Any]:
    return process | {"host": "<host>", "boot_id": None, "process_id": 0, "start_time_seconds": 0.0}


def _run(record: dict[str, Any], choices: Collection[str]) -> None:
    record["process"] = _process(record["process"])
    _command(record["command"], choices)


def _command(command: dict[str, Any], choices: Collection[str]) -> None:
    if "arguments" not in choices or "unavailable" in command:
        return
    if command["arguments"] or command["start"] == "code":
        command["redacted"] = True
    command["arguments"] = [_LEFT_OUT for _ in command["arguments"]]
    if command["start"] == "code":
        command["target"] = _LEFT_OUT


def _system(record: dict[str, Any], choices: Collection[str]) -> None:
    machine = record["machine"]
    machine |= {"host_name": "<host>", "boot_id": unavailable(REASON), "boot_time": unavailable(REASON)}
    if machine["container"]:
        machine["container"] |= {"id": unavailable(REASON)}
    for device in record["gpus"].get("devices", ()):
        device["uuid"] = unavailable(REASON)
    record["process"] |= {"process_id": 0, "parents": unavailable(REASON), "started": unavailable(REASON)}
    _command(record["process"]["command"], choices)
    if "environment" in choices:
        record["environment"] = {}


def _git(record: dict[str, Any], choices: Collection[str]) -> None:
    repository = record["repository"]
    if "unavailable" in repository:
        return
    if "git" in choices:
        record["repository"] = unavailable(REASON)
        return
    if "remote" in choices:
        repository["remotes"] = unavailable(REASON)
        for submodule in repository["submodules"] if isinstance(repository["submodules"], list) else ():
            submodule["url"] = None
    if "patch" in choices:
        for name in ("patch", "submodules_patch"):
            part = repository[name]
            if part.get("size_bytes") and not part.get("withheld"):
                part |= {"withheld": REASON}


def _source(record: dict[str, Any], choices: Collection[str]) -> None:
    if "source" not in choices:
        return
    gone = [
        {key: each[key] for key in ("original_path", "role", "module", "size_bytes")} | {"reason": REASON}
        for each in record["files"]
    ]
    record |= {
        "entry": unavailable(REASON),
        "files": [],
        "total_bytes": 0,
        "left_out": [*gone, *record["left_out"]],
        "left_out_count": record["left_out_count"] + len(gone),
    }
    if record["notebook"]:
        record["notebook"]["cells"] = unavailable(REASON)


def _results(record: dict[str, Any], choices: Collection[str]) -> None:
    if "predictions" in choices and record["test"].get("predictions_file"):
        record["test"]["predictions_file"] = None
