"""The arguments of `RunArchiver`, validated before anything is touched."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from archiver.archive.claiming import ROOT_VARIABLE, OnExisting
from archiver.archive.run import Run
from archiver.collect.command import recordable
from archiver.collect.data_paths import NamedPath
from archiver.collect.redaction import redact_json, redact_text
from archiver.errors import ArgumentError, NotAnArchiveError
from archiver.naming import RunName, folder_name
from archiver.records.base import Json
from archiver.records.scores import Task
from archiver.records.telemetry import GuardEvent
from archiver.remote.urls import check_url, is_url, shown_url
from archiver.report.report import ReportOptions, checked_templates
from archiver.sampling.cooling_policy import CoolingPolicy
from archiver.sampling.memory_sources import machine_memory_bytes
from archiver.sampling.thread import MAXIMAL_HERTZ, MINIMAL_HERTZ
from archiver.storage.bounding import bounded
from archiver.storage.jsonable import jsonable
from archiver.training.adopting import Resume
from archiver.training.datasets import Data, as_data
from archiver.training.models import FORMATS
from archiver.training.outputs import Tasks
from archiver.training.snapshots import Every
from archiver.training.uploads import RemoteRoot

OnAlert = Callable[[GuardEvent], object]

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class TelemetryOptions:
    """What is measured beside the training."""

    sampling_hertz: float | None = 1.0
    """None: nothing is sampled."""
    memory_limit: float | int | None = 0.85
    """A share of what the process can have, or bytes of anonymous memory; None: none."""
    on_alert: OnAlert | None = None
    cooling: CoolingPolicy | None = None


@dataclass(frozen=True)
class Options:
    """What the user asked for. The JSON fields are plain JSON already, secrets removed."""

    root: Path
    name: RunName
    data: dict[str, Data]
    """By split: what is described instead of what `fit` was given."""
    class_names: tuple[str, ...] | None
    preprocessing: Json
    hyperparameters: Json
    dataset_source: Json
    data_paths: tuple[NamedPath, ...]
    """What in it may be paths."""
    notes: Json
    tags: tuple[str, ...]
    group: str | None
    parent: Run | None
    on_existing: OnExisting
    formats: tuple[str, ...]
    monitor: str | None
    report: ReportOptions
    telemetry: TelemetryOptions
    snapshot_every: Every = None
    resume: Resume = False
    allow_secrets: bool = False
    """Seal although something in the archive looks like a secret."""
    redirected_from: str | None = None
    """The root that the user asked for, where the environment sends the runs elsewhere."""
    remote: RemoteRoot | None = None
    """The store that they are uploaded to; `root` is where they lie before."""


def plain(value: Any) -> Json:
    """A user's value as JSON without secrets."""
    return redact_json(jsonable(value))


def plain_source(value: Any) -> Json:
    """What the user said of the data's source, as `plain`, the home folder as `~`."""
    return _recordable(plain(value))


def _recordable(value: Json) -> Json:
    if isinstance(value, dict):
        return {recordable(key): _recordable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_recordable(item) for item in value]
    return recordable(value) if isinstance(value, str) else value


def redirection(root: str | os.PathLike[str]) -> str | None:
    """The root as it was asked for, as a record can hold it, where the runs go elsewhere; else None."""
    return recordable(redact_text(shown_url(os.fspath(root)))) if os.environ.get(ROOT_VARIABLE) else None


def checked_remote(
    root: str | os.PathLike[str], storage_options: Mapping[str, Any] | None, *, keep_staging: bool
) -> RemoteRoot | None:
    """The store that runs are uploaded to, where the root is a URL; None: it is a folder.

    Raises:
        ArgumentError: the URL or the options cannot be used.
        MissingExtraError: the library of its scheme is not installed.
    """
    checked_flag("keep_staging", keep_staging)
    if not is_url(root):
        return None
    url = str(root)
    check_url(url)
    try:
        options = json.loads(json.dumps(dict(storage_options or {})))
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            "Received storage_options that are no JSON. Expected a dict of texts, numbers and dicts of these."
        ) from error
    return RemoteRoot(url.rstrip("/"), options, keep_staging)


def require_url(root: str | os.PathLike[str], **given: bool) -> None:
    """Refuse what only a store has a use for, where the root is a folder.

    Args:
        root: as the user gave it.
        given: by name of the argument, whether it was.

    Raises:
        ArgumentError: one was.
    """
    wrong = next((name for name, was_given in given.items() if was_given), None)
    if wrong is not None and not is_url(root):
        raise ArgumentError(
            f"Received {wrong}= with root={str(root)!r}. Expected a URL such as 's3://bucket/runs' with it."
        )


def checked_root(root: str | os.PathLike[str]) -> Path:
    """The folder of the runs, absolute.

    Raises:
        ArgumentError: it is a file, or runs cannot be made in it.
    """
    if not isinstance(root, str | os.PathLike) or not str(root):
        raise ArgumentError(f"Received root={root!r} ({type(root).__name__}). Expected the path of a folder.")
    path = Path(os.path.abspath(root))
    nearest = path
    while not os.path.exists(nearest) and nearest != nearest.parent:
        nearest = nearest.parent
    if not os.path.isdir(nearest):
        raise ArgumentError(f"Received root={str(root)!r}, but {nearest} is a file. Expected a folder, or a free path.")
    effective = os.access in os.supports_effective_ids
    if not os.access(nearest, os.W_OK | os.X_OK, effective_ids=effective):
        raise ArgumentError(
            f"Received root={str(root)!r}, but {nearest} cannot be written to. Expected a folder that can."
        )
    return path


def checked_parent(parent: Any, root: str | os.PathLike[str]) -> Run | None:
    """The run that was stated as the parent: a `Run`, the path of an archive, or the name of one in the root.

    Raises:
        ArgumentError: there is none.
    """
    if parent is None or isinstance(parent, Run):
        return parent
    if not isinstance(parent, str | os.PathLike) or not str(parent):
        raise ArgumentError(f"Received parent={parent!r} ({type(parent).__name__}). Expected the path of an archive.")
    named = Path(root, folder_name(os.fspath(parent)))
    path = Path(parent)
    try:
        return Run.open(Path(os.path.abspath(named if not path.is_dir() and named.is_dir() else path)))
    except NotAnArchiveError as error:
        raise ArgumentError(f"Received parent={str(parent)!r}. {error}") from error


def checked_data(data: Any) -> dict[str, Data]:
    """The data by split, from `data=`.

    Raises:
        ArgumentError: it is nothing that can be described.
    """
    if data is None:
        return {}
    splits = data if isinstance(data, dict) and set(data) <= set(SPLITS) else {"train": data}
    found = {name: as_data(value) for name, value in splits.items()}
    wrong = [name for name, value in found.items() if value is None]
    if wrong or not found:
        raise ArgumentError(
            f"Received data= with {wrong[0] if wrong else 'no'} data of type {type(data).__name__}. Expected (x, y), "
            "a data set, or a dict of these by 'train', 'validation', 'test'."
        )
    return {name: value for name, value in found.items() if value is not None}


def checked_names(names: Iterable[Any] | None) -> tuple[str, ...] | None:
    """Class names as text, in the order of the class numbers.

    Raises:
        ArgumentError: they are no names, or one stands twice.
    """
    if names is None:
        return None
    if isinstance(names, str | bytes) or not isinstance(names, Iterable):
        raise ArgumentError(f"Received class_names={names!r}. Expected a list of names, one for each class number.")
    texts = tuple(redact_text(str(name)) for name in names)
    double = next((text for text in texts if texts.count(text) > 1), None) if len(texts) < 10_000 else None  # noqa: PLR2004
    if not texts or double is not None:
        what = f"{double!r} twice" if double is not None else "none"
        raise ArgumentError(f"Received class_names with {what}. Expected a different name for each class number.")
    return texts


def checked_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """The model formats to write.

    Raises:
        ArgumentError: one is not known.
    """
    if isinstance(formats, str) or any(name not in FORMATS for name in formats):
        raise ArgumentError(f"Received formats={formats!r}. Expected some of {', '.join(map(repr, FORMATS))}.")
    return tuple(dict.fromkeys(formats))


def checked_choice(argument: str, value: Any, choices: Any) -> Any:
    """`value`, if it is one of the choices of a Literal type.

    Raises:
        ArgumentError: it is not.
    """
    if value not in get_args(choices):
        raise ArgumentError(
            f"Received {argument}={value!r}. Expected one of {', '.join(map(repr, get_args(choices)))}."
        )
    return value


def checked_texts(argument: str, value: Iterable[Any]) -> tuple[str, ...]:
    """A list of texts.

    Raises:
        ArgumentError: it is something else.
    """
    items = None if isinstance(value, str | bytes) or not isinstance(value, Iterable) else tuple(value)
    if items is None or not all(isinstance(item, str) for item in items):
        raise ArgumentError(f"Received {argument}={value!r}. Expected a list of texts.")
    return tuple(redact_text(item) for item in items)


def checked_hyperparameters(value: Any) -> Json:
    """Hyper-parameters as plain JSON.

    Raises:
        ArgumentError: they have no names.
    """
    found = bounded(plain(value), maximal_items=1000)
    if value is not None and (not isinstance(found, dict) or set(found) in ({"object"}, {"array"}, {"bytes"})):
        raise ArgumentError(
            f"Received hyperparameters of type {type(value).__name__}. Expected a dict, an argparse.Namespace, "
            "a dataclass, a pydantic model, or an attrs class."
        )
    return found


def checked_count(argument: str, value: Any) -> int | None:
    """A whole number of at least 1, or None.

    Raises:
        ArgumentError: it is something else.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ArgumentError(f"Received {argument}={value!r}. Expected a whole number of at least 1, or None.")
    return value


def checked_task(task: Any) -> Tasks:
    """A task, or tasks by output.

    Raises:
        ArgumentError: it is something else.
    """
    named = task if isinstance(task, Mapping) else {} if task is None else {"": task}
    for each in named.values():
        if not isinstance(each, str) or each not in get_args(Task):
            raise ArgumentError(
                f"Received task={task!r}. Expected one of {', '.join(map(repr, get_args(Task)))}, a dict of these by "
                "output, or None."
            )
    return dict(task) if isinstance(task, Mapping) else task


def checked_threshold(threshold: Any) -> float:
    """A probability between 0 and 1.

    Raises:
        ArgumentError: it is something else.
    """
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 < threshold < 1:
        raise ArgumentError(f"Received threshold={threshold!r}. Expected a number between 0 and 1.")
    return float(threshold)


def checked_text(argument: str, value: Any) -> str | None:
    """A text or None.

    Raises:
        ArgumentError: it is something else.
    """
    if value is not None and (not isinstance(value, str) or not value):
        raise ArgumentError(f"Received {argument}={value!r}. Expected a text or None.")
    return None if value is None else redact_text(value)


def checked_report(templates: str | os.PathLike[str] | None, figures: bool) -> ReportOptions:
    """How the report is to be made.

    Raises:
        ArgumentError: there is no such folder, or it holds no template of a name that is used.
    """
    checked_flag("figures", figures)
    return ReportOptions(checked_templates(templates) if templates is not None else None, figures)


def checked_hertz(sampling_hertz: Any) -> float | None:
    """Samples per second; None where nothing is to be sampled.

    Raises:
        ArgumentError: it is no rate that can be kept.
    """
    if sampling_hertz is None or (is_real(sampling_hertz) and sampling_hertz == 0):
        return None
    if not is_real(sampling_hertz) or not MINIMAL_HERTZ <= sampling_hertz <= MAXIMAL_HERTZ:
        raise ArgumentError(
            f"Received sampling_hertz={sampling_hertz!r}. Expected samples per second, more than 0 ({MINIMAL_HERTZ:g} "
            f"at least) and at most {MAXIMAL_HERTZ:g}; 0 or None turns sampling off."
        )
    return float(sampling_hertz)


def checked_memory_limit(memory_limit: Any) -> float | int | None:
    """A share of memory, or a number of bytes; None where there is no limit.

    Raises:
        ArgumentError: it is neither, or more than there is.
    """
    if memory_limit is None or (isinstance(memory_limit, float) and 0 < memory_limit < 1):
        return memory_limit
    most = machine_memory_bytes()
    if isinstance(memory_limit, int) and not isinstance(memory_limit, bool) and 1 < memory_limit <= most:
        return memory_limit
    raise ArgumentError(
        f"Received memory_limit={memory_limit!r}. Expected a share of the memory between 0 and 1, such as 0.85, a "
        f"whole number of bytes up to {most}, all that there is, or None."
    )


def checked_alert(on_alert: Any) -> OnAlert | None:
    """A function that is told of alerts.

    Raises:
        ArgumentError: it cannot be called.
    """
    if on_alert is not None and not callable(on_alert):
        raise ArgumentError(f"Received on_alert={on_alert!r}. Expected a function of one argument, or None.")
    checked: OnAlert | None = on_alert
    return checked


def checked_cooling(cooling: Any) -> CoolingPolicy | None:
    """When to pause.

    Raises:
        ArgumentError: it is no such policy.
    """
    if cooling is not None and not isinstance(cooling, CoolingPolicy):
        raise ArgumentError(f"Received cooling={cooling!r}. Expected an archiver.CoolingPolicy, or None.")
    return cooling


def checked_snapshot_every(every: Any) -> Every:
    """When snapshots are taken.

    Raises:
        ArgumentError: it is no such time.
    """
    is_number = is_real(every) and math.isfinite(every) and every > 0
    if every is None or (isinstance(every, str) and every == "epoch") or is_number:
        checked: Every = every
        return checked
    raise ArgumentError(
        f'Received snapshot_every={every!r}. Expected "epoch", a number of steps (such as 1000), a number of seconds '
        "(a float, such as 600.0), or None."
    )


def checked_resume(resume: Any) -> Resume:
    """Whether a run that was cut off is gone on with.

    Raises:
        ArgumentError: it is neither True, False nor "force".
    """
    if isinstance(resume, bool):
        return resume
    if isinstance(resume, str) and resume == "force":
        return "force"
    raise ArgumentError(f'Received resume={resume!r}. Expected True, False or "force".')


def checked_flag(argument: str, value: Any) -> bool:
    """True or False.

    Raises:
        ArgumentError: it is something else.
    """
    if not isinstance(value, bool):
        raise ArgumentError(f"Received {argument}={value!r}. Expected True or False.")
    return value


def is_real(value: Any) -> bool:
    """Whether a value is a number, and not True or False."""
    return isinstance(value, int | float) and not isinstance(value, bool)
