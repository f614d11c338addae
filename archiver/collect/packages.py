"""The installed packages, read in this process: no `pip`, no network."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions

from archiver.collect.command import recordable
from archiver.collect.conda import collect_conda_packages
from archiver.collect.redaction import redact_json, redact_remote, redact_text
from archiver.records.base import Json, Unavailable, utc_now
from archiver.records.environment import PackagePart, PackagesRecord, ShadowedPackage, UnreadablePackage

ROWS_AT_A_TIME = 1000

_fingerprints: dict[tuple[str, int, int, int], tuple[str, int]] = {}
"""By the state of RECORD, in this process: folds and searches train many models with the same packages."""

_VARYING_ROW = re.compile(r"\.dist-info/(?:INSTALLER|REQUESTED|RECORD|direct_url\.json|uv_\w+\.json)\Z|\.pyc\Z")
_LINE = re.compile(r"[^\n]*\n?")
_HEADER = re.compile(r"^(Name|Version):[ \t]*(.*?)[ \t]*$", re.MULTILINE)


def collect_packages() -> PackagesRecord:
    """Every installed distribution that this process could import from, with a fingerprint of its files.

    Takes about a millisecond for each, and more for those of thousands of files.
    """
    found: dict[str, PackagePart] = {}
    unreadable: list[UnreadablePackage] = []
    for distribution in installed_distributions(unreadable):
        try:
            _add(found, distribution)
        except Exception as error:  # noqa: BLE001 - metadata is whatever lies in a folder
            path = getattr(distribution, "_path", None)
            location = _location(distribution) if path is None else recordable(str(path))
            unreadable.append(UnreadablePackage(location=location, reason=_reason(error)))
    return PackagesRecord(
        collected=utc_now(),
        packages={name: found[name] for name in sorted(found)},
        unreadable=tuple(sorted(unreadable, key=lambda each: each.location)),
        conda_packages=collect_conda_packages(),
    )


def normalised_name(name: str) -> str:
    """The name by which indexes know a distribution (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed_distributions(unreadable: list[UnreadablePackage]) -> Iterator[Distribution]:
    """Those this process could import from, in the order of `sys.path`; `unreadable` gets why there are no more."""
    iterator = iter(distributions())
    while True:
        try:
            yield next(iterator)
        except StopIteration:
            return
        except Exception as error:  # noqa: BLE001 - finders are anybody's code
            unreadable.append(UnreadablePackage(location="sys.meta_path", reason=_reason(error)))
            return


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {recordable(redact_text(str(error)))[:300]}"


def _add(found: dict[str, PackagePart], distribution: Distribution) -> None:
    name, version = name_and_version(distribution)
    key = normalised_name(name)
    first = found.get(key)
    if first is None:
        found[key] = _package(distribution, name, version)
        return
    hidden = ShadowedPackage(version=version, location=_location(distribution))
    known = (ShadowedPackage(version=first.version, location=first.location), *first.shadowed)
    if hidden not in known:  # the same folder may stand on the path twice
        found[key] = first.model_copy(update={"shadowed": (*first.shadowed, hidden)})


def name_and_version(distribution: Distribution) -> tuple[str, str | Unavailable]:
    """As its metadata has them.

    Raises:
        ValueError: there is no name.
    """
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or distribution.read_text("") or ""
    header = dict(reversed(_HEADER.findall(re.split(r"\r?\n\r?\n", text, maxsplit=1)[0])))
    if not header.get("Name"):
        raise ValueError("its metadata has no name")
    return header["Name"], header.get("Version") or Unavailable(unavailable="its metadata has no version")


def _package(distribution: Distribution, name: str, version: str | Unavailable) -> PackagePart:
    direct_url = _direct_url(distribution)
    fingerprint, count = _fingerprint(distribution)
    return PackagePart(
        name=name,
        version=version,
        location=_location(distribution),
        installer=(distribution.read_text("INSTALLER") or "").strip() or None,
        requested=distribution.read_text("REQUESTED") is not None,
        editable=_is_editable(direct_url),
        direct_url=direct_url,
        tags=tuple(re.findall(r"^Tag:[ \t]*(\S+)", distribution.read_text("WHEEL") or "", re.MULTILINE)),
        record_sha256=fingerprint,
        file_count=count,
    )


def _location(distribution: Distribution) -> str:
    try:
        return recordable(str(distribution.locate_file("")))
    except Exception as error:  # noqa: BLE001 - see collect_packages
        return f"unknown ({type(error).__name__})"


def _direct_url(distribution: Distribution) -> Json:
    text = distribution.read_text("direct_url.json")
    if not text:
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return {"unavailable": "direct_url.json is not JSON"}
    if isinstance(value, dict) and isinstance(value.get("url"), str):
        value["url"] = recordable(redact_remote(value["url"]))
    return redact_json(value)


def _is_editable(direct_url: Json) -> bool:
    folder = direct_url.get("dir_info") if isinstance(direct_url, dict) else None
    return isinstance(folder, dict) and folder.get("editable") is True


def _fingerprint(distribution: Distribution) -> tuple[str | Unavailable, int | Unavailable]:
    state = _state_of_record(distribution)
    if state is not None and state in _fingerprints:
        return _fingerprints[state]
    text = distribution.read_text("RECORD")
    if text is None:
        missing = Unavailable(unavailable="it has no RECORD of its files")
        return missing, missing
    found = _fingerprint_of(text)
    if state is not None:
        _fingerprints[state] = found
    return found


def _state_of_record(distribution: Distribution) -> tuple[str, int, int, int] | None:
    """What changes when RECORD is written anew, which happens when the package is installed."""
    path = f"{getattr(distribution, '_path', '')}/RECORD"
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return path, status.st_ino, status.st_size, status.st_ctime_ns


def _fingerprint_of(record: str) -> tuple[str, int]:
    rows = sorted(_lasting_rows(record))
    digest = hashlib.sha256(b"[")
    for start in range(0, len(rows), ROWS_AT_A_TIME):  # all at once would take megabytes
        text = json.dumps(rows[start : start + ROWS_AT_A_TIME], separators=(",", ":"))
        digest.update((("," if start else "") + text[1:-1]).encode())
    digest.update(b"]")
    return digest.hexdigest(), len(rows)


def _lasting_rows(record: str) -> Iterator[tuple[str, str]]:
    lines = (match[0] for match in _LINE.finditer(record))  # StringIO would take four bytes for each character
    for row in csv.reader(lines):
        if len(row) > 1 and row[1] and not row[0].startswith(("../", "/")) and not _VARYING_ROW.search(row[0]):
            yield row[0], row[1]
