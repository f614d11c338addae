"""What in an archive says who trained and where: names of hosts and users, folders, numbers of machines."""

from __future__ import annotations

import getpass
import json
import os
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archiver import layout
from archiver._resources import resource_folder
from archiver.archive.run import Run
from archiver.errors import ArchiverError
from archiver.records.base import FORMAT_VERSION, Unavailable

SHORTEST_NAME = 3
"""Characters; a shorter name is part of too many words."""
_ORDINARY = frozenset((
    "root", "user", "users", "admin", "administrator", "ubuntu", "debian", "centos", "fedora", "ec2-user",
    "vagrant", "docker", "jovyan", "runner", "colab", "kaggle", "localhost", "localdomain", "local", "host",
    "hosts", "node", "gpu", "cpu", "box", "server", "desktop", "laptop", "machine", "computer", "home", "work",
    "main", "data", "train", "test", "tests", "model", "models", "lab", "vm", "anonymous", "nobody", "guest",
    "default", "research", "example", "shared", "python", "workspace",
))  # fmt: skip
_HOME = re.compile(r"(?:/home|/Users|/var/home|/export/home|[A-Za-z]:[\\/]Users)[\\/]([A-Za-z0-9][A-Za-z0-9._-]*)")


@dataclass(frozen=True)
class Identity:
    """What is to be replaced."""

    hosts: tuple[str, ...]
    """Names that are replaced wherever they stand."""
    users: tuple[str, ...]
    ordinary: tuple[str, ...]
    """Names of hosts and users that are ordinary words here: replaced only where a name of that kind stands."""
    homes: tuple[str, ...]
    """Home folders, the user's own first."""
    folders: dict[str, str]
    """Other folders by path, with what stands for each."""
    numbers: tuple[str, ...]
    """Random numbers of machines, boots, containers and GPUs."""
    hidden: tuple[str, ...]
    """What the user asked to hide."""


def learn_identity(run: Run, texts: Iterable[str], hidden: Iterable[str] = ()) -> Identity:
    """What an archive tells, and what this machine tells: it is usually the one that trained.

    Args:
        run: the archive.
        texts: its texts, in which home folders are looked for.
        hidden: what else is to be hidden.
    """
    documents = [*_documents(run), *_events(run)]
    homes = [*_own_homes(), *dict.fromkeys(match[0] for text in texts for match in _HOME.finditer(text))]
    names = {
        "host": [*_values(documents, ("host", "host_name")), socket.gethostname()],
        "user": [*_own_users(), *(match[1] for home in homes if (match := _HOME.fullmatch(home)))],
    }
    names["host"] += [name.partition(".")[0] for name in names["host"]]
    homes = list(dict.fromkeys(home.rstrip("/") for home in homes if len(home) > 1))
    vocabulary = _vocabulary(run)
    told = {
        kind: tuple(dict.fromkeys(name for name in found if name and name[0] != "<")) for kind, found in names.items()
    }
    ordinary = {name for found in told.values() for name in found if _is_ordinary(name, vocabulary)}
    return Identity(
        hosts=_longest_first(set(told["host"]) - ordinary),
        users=_longest_first(set(told["user"]) - ordinary - set(told["host"])),
        ordinary=tuple(sorted(ordinary)),
        homes=tuple(homes),
        folders={
            path: placeholder
            for path, placeholder in _folders(documents).items()
            if not any(path == home or path.startswith(f"{home}/") for home in homes)
        },
        numbers=tuple(_numbers(documents)),
        hidden=_longest_first(text for text in hidden if text),
    )


def _longest_first(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(texts), key=lambda text: (-len(text), text)))


def _is_ordinary(name: str, vocabulary: frozenset[str]) -> bool:
    """Whether replacing every such word would spoil the archive: a host may be called `data` or `cnn`."""
    folded = name.casefold()
    return len(name) < SHORTEST_NAME or folded in _ORDINARY or folded in vocabulary or folded.isdecimal()


def _vocabulary(run: Run) -> frozenset[str]:
    """Words of the format, names of classes and packages, and of the model, by which its weights are found."""
    texts = [path.read_text(encoding="utf-8") for path in (resource_folder("schemas") / f"v{FORMAT_VERSION}").iterdir()]
    words = set(re.findall(r"[a-z0-9]{3,}", " ".join(texts).casefold()))
    with suppress(ArchiverError, AttributeError):
        weights = run.read_if_there(layout.WEIGHTS)
        paths = [f"{each.path} {each.layer or ''}" for each in weights.variables] if weights else []
        stats = run.read_if_there(layout.DATASET_STATS)
        names = (stats.class_names or ()) if stats else ()
        packages = run.read_if_there(layout.PACKAGES)
        installed = packages.packages if packages else ()
        words |= set(re.findall(r"[a-z0-9]{3,}", " ".join([*paths, *map(str, names), *installed]).casefold()))
    return frozenset(words)


def _own_users() -> Iterator[str]:
    with suppress(Exception):
        yield getpass.getuser()
    yield from (os.environ.get(name, "") for name in ("USER", "LOGNAME", "SUDO_USER"))
    with suppress(Exception):
        import pwd

        entry = pwd.getpwuid(os.getuid())
        yield entry.pw_name
        full_name = entry.pw_gecos.split(",")[0]
        if " " in full_name:
            yield full_name


def _own_homes() -> Iterator[str]:
    yield os.path.expanduser("~")
    with suppress(Exception):
        import pwd

        yield pwd.getpwuid(os.getuid()).pw_dir


def _documents(run: Run) -> Iterator[Any]:
    for file in (layout.SYSTEM, layout.RUN, layout.GIT, layout.SOURCE):
        with suppress(ArchiverError):
            record: Any = run.read_if_there(file)
            if record is not None:
                yield json.loads(record.model_dump_json())


def _events(run: Run) -> Iterator[Any]:
    with suppress(ArchiverError):
        yield from ({"details": event.details} for event in run.journal.read().events if "process" in event.details)


def _values(value: Any, keys: tuple[str, ...]) -> Iterator[str]:
    """Texts that stand under one of the keys, at any depth."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key in keys and isinstance(item, str):
                yield item
            else:
                yield from _values(item, keys)
    elif isinstance(value, list):
        for item in value:
            yield from _values(item, keys)


def _numbers(documents: list[Any]) -> Iterator[str]:
    for document in documents:
        found = list(_values(document, ("boot_id", "uuid", "image_id")))
        container = (document.get("machine") or {}).get("container") if isinstance(document, dict) else None
        found = [
            *found,
            *([container["id"]] if isinstance(container, dict) and isinstance(container["id"], str) else []),
        ]
        yield from (number for number in dict.fromkeys(found) if len(number) >= 12)  # noqa: PLR2004


_NAMED = (
    ("working_directory", "<working-directory>"),
    ("root", "<project>"),
    ("prefix", "<python>"),
    ("base_prefix", "<python>"),
)


def _folders(documents: list[Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, placeholder in _NAMED:
        for path in _values(documents, (key,)):
            if path.startswith("/") and len(path.rstrip("/")) > 2 and not is_of_every_system(path):  # noqa: PLR2004
                found.setdefault(path.rstrip("/"), placeholder)
    return found


_EVERY_SYSTEM = ("usr", "lib", "lib32", "lib64", "bin", "sbin", "etc", "dev", "proc", "sys", "run")


def is_of_every_system(path: str) -> bool:
    """Whether an absolute path leads where every system of its kind has the same."""
    return Path(path).parts[1:2] in {(each,) for each in _EVERY_SYSTEM}


def unavailable(what: str) -> dict[str, str]:
    """What stands in a record for what was left out."""
    return Unavailable(unavailable=what).model_dump()
