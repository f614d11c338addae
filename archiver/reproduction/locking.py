"""The lock of an environment: for each recorded package, the file in the index that was installed, with its hash.

`environment/packages.json` has names, versions and fingerprints, taken without a network. The hashes of the files that
an index serves are added later, by asking it through pip, with pip's own settings: nothing is installed or run.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from archiver import layout
from archiver.archive.run import Run
from archiver.archive.verifying import verify
from archiver.collect.packages import normalised_name
from archiver.collect.redaction import redact_remote
from archiver.errors import RunStateError
from archiver.records.base import Unavailable
from archiver.records.environment import PackagePart, PackagesRecord
from archiver.reproduction.lock_file import LockedWheel, lock_text
from archiver.sealing import changing
from archiver.storage import files

PIP_SECONDS = 600
_NOT_FOUND = "the index has no wheel of this version for this Python and platform"
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*")


@dataclass(frozen=True)
class Wanted:
    """A package to look for."""

    name: str
    version: str
    platforms: tuple[str, ...]
    """Of its wheel; empty: any."""


@dataclass(frozen=True)
class LockResult:
    """What a lock holds."""

    wheels: tuple[LockedWheel, ...]
    left_out: dict[str, str]
    """By package, why it is not in the lock."""
    seal_id: str
    """Of the archive, sealed again."""


def lock_environment(run: Run, on_packages: Callable[[int], None] = lambda _: None) -> LockResult:
    """Write `environment/pylock.toml` into a sealed archive, and seal it again.

    Args:
        run: a whole archive.
        on_packages: is told how many more packages were looked for.

    Raises:
        RunStateError: it is not whole, there is no pip, or its index has none of the packages.
        RecordError: its packages or its Python are not known.
        StorageError: the file system refused.
    """
    report = verify(run.path)
    if report.seal_id is None or report.findings:
        first = f" ({report.findings[0].describe()})" if report.findings else ""
        raise RunStateError(f"{run.path} is not whole{first}, and is not locked; `archiver verify` says more.")
    packages, python_version = run.read(layout.PACKAGES), run.read(layout.SYSTEM).python.version.split()[0]
    wanted, left_out = wanted_packages(packages)
    on_packages(len(left_out))
    wheels: list[LockedWheel] = []
    for group in _groups(wanted):
        wheels += _ask_index(group, python_version)
        on_packages(len(group))
    if wanted and not wheels:
        raise RunStateError(
            f"The index has none of the {len(wanted)} packages, or does not answer; see `pip config list`."
        )
    found = {wheel.name for wheel in wheels}
    left_out |= {each.name: _NOT_FOUND for each in wanted if each.name not in found}
    return _write(run, sorted(wheels, key=lambda wheel: wheel.name), dict(sorted(left_out.items())), python_version)


def _write(run: Run, wheels: list[LockedWheel], left_out: dict[str, str], python_version: str) -> LockResult:
    text = lock_text(wheels, python_version, left_out, str(run.seal_id))
    with changing(run):
        files.write_text(run.path_of(layout.LOCK), text)
        run.journal.append("environment_locked", locked_count=len(wheels), left_out=left_out)
    return LockResult(tuple(wheels), left_out, str(run.seal_id))


def wanted_packages(record: PackagesRecord) -> tuple[list[Wanted], dict[str, str]]:
    """Those that an index may have; and by name, why the others are left out."""
    wanted, left_out = [], {}
    for name, part in record.packages.items():
        reason = _why_not(name, part)
        if reason is None:
            wanted.append(Wanted(name, str(part.version), _platforms(part.tags)))
        else:
            left_out[name] = reason
    return wanted, left_out


def _why_not(name: str, part: PackagePart) -> str | None:
    if isinstance(part.version, Unavailable):
        return f"its version is not known: {part.version.unavailable}"
    if part.editable:
        return "it was installed from a working folder"
    if part.direct_url is not None:
        return "it came from a place of its own, not from an index"
    # They become a line of pip's requirements: what is no name or version must not be an option of pip.
    if not _VERSION.fullmatch(part.version) or not _VERSION.fullmatch(name):
        return "its name or its version is none that an index may have"
    return None


def _platforms(tags: Sequence[str]) -> tuple[str, ...]:
    """Of tags such as `cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64`."""
    found = {platform for tag in tags for platform in tag.rpartition("-")[2].split(".")}
    return tuple(sorted(each for each in found - {"any"} if re.fullmatch(r"\w+", each)))


def _groups(wanted: Sequence[Wanted]) -> list[list[Wanted]]:
    """Packages that one call of pip can look for."""
    by_platform: dict[tuple[str, ...], list[Wanted]] = {}
    for each in wanted:
        by_platform.setdefault(each.platforms, []).append(each)
    return list(by_platform.values())


def _ask_index(group: Sequence[Wanted], python_version: str) -> list[LockedWheel]:
    """The wheels of those that the index has: one by one, where pip ends because of one that it does not have."""
    report = _pip_report(group, python_version)
    if report is not None:
        return [wheel for item in report["install"] if (wheel := _wheel(item)) is not None]
    if len(group) == 1:
        return []
    half = len(group) // 2
    return _ask_index(group[:half], python_version) + _ask_index(group[half:], python_version)


def _pip_report(group: Sequence[Wanted], python_version: str) -> Mapping[str, Any] | None:
    """What pip would install; None where it would not.

    The format: https://pip.pypa.io/en/stable/reference/installation-report.

    Raises:
        RunStateError: there is no pip.
    """
    with tempfile.TemporaryDirectory(prefix="archiver-lock-") as folder:
        requirements, report = f"{folder}/requirements.txt", f"{folder}/report.json"
        with open(requirements, "w", encoding="utf-8") as file:
            file.writelines(f"{each.name}=={each.version}\n" for each in group)
        command = [
            sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps",
            "--only-binary", ":all:", "--python-version", python_version, "--target", f"{folder}/target",
            *(option for platform in group[0].platforms for option in ("--platform", platform)),
            "--report", report, "--requirement", requirements,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PIP_SECONDS)
        if done.returncode == 0:
            with open(report, "rb") as data:
                return dict(json.load(data))
    if "No module named pip" in done.stderr:
        raise RunStateError(
            "There is no pip in this environment, through which the index is asked: python -m ensurepip"
        )
    return None


def _wheel(item: Mapping[str, Any]) -> LockedWheel | None:
    info, metadata = item["download_info"], item["metadata"]
    digest = info.get("archive_info", {}).get("hashes", {}).get("sha256")
    if digest is None:
        return None
    url = redact_remote(info["url"])
    filename = unquote(PurePosixPath(urlsplit(url).path).name)
    return LockedWheel(normalised_name(metadata["name"]), metadata["version"], filename, url, digest)
