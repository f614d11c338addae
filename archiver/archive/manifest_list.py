"""Verifying, second step: what the manifests list, against what lies in the folder and against each other."""

from __future__ import annotations

from archiver import layout
from archiver.archive.inspection import Inspection
from archiver.archive.left_behind import left_behind
from archiver.archive.renamed import find_elsewhere
from archiver.archive.secret_findings import say_refused
from archiver.archive.transfer import explain_absence, find_unreadable, undone_manifest
from archiver.errors import ArchiverError
from archiver.storage import manifests
from archiver.storage.beneath import relative_parts
from archiver.storage.digests import sha256_of
from archiver.storage.manifests import MANIFEST_NAMES, MAXIMAL_MANIFEST_BYTES


def read_manifests(inspection: Inspection) -> None:
    """Gather what the manifests list; report that there is no seal, and lines that break the grammar."""
    seal = layout.MANIFEST_BLAKE3.pattern
    if seal not in inspection.sizes:
        status = inspection.run.status_text
        remedy = "" if status.startswith("running") else "; `archiver finalize` seals what is there"
        inspection.find("not_sealed", "", f"the archive is not sealed: there is no {seal}; the run is {status}{remedy}")
        say_refused(inspection)
    for algorithm, name in MANIFEST_NAMES.items():
        if name not in inspection.sizes:
            if seal in inspection.sizes:
                inspection.find("missing", name, "the manifest is missing")
            continue
        data = _read(inspection, name)
        if data is None:
            continue
        if name == seal:
            inspection.seal_id = sha256_of(data)
        inspection.listed[algorithm], faults = manifests.parse_manifest(data, algorithm)
        conversion = undone_manifest(data, algorithm)
        if conversion is not None:
            inspection.undone[name] = conversion.original
            inspection.listed[algorithm], faults = manifests.parse_manifest(conversion.original, algorithm)
            if name == seal:
                inspection.seal_id = sha256_of(conversion.original)
            inspection.find("manifest", name, f"{conversion.what}; each line is whole without it", conversion.cause)
        for fault in faults:
            inspection.find("manifest", f"{name}:{fault.line}", fault.reason)


def _read(inspection: Inspection, name: str) -> bytes | None:
    try:
        return inspection.read_now(name, MAXIMAL_MANIFEST_BYTES)
    except (OSError, ArchiverError) as error:
        find_unreadable(inspection, name, error)
        return None


def compare_lists(inspection: Inspection) -> None:
    """Missing and unlisted files, and whether the manifests list the same ones."""
    if layout.MANIFEST_BLAKE3.pattern not in inspection.sizes:
        return
    order = list(MANIFEST_NAMES)
    _find_elsewhere(inspection)
    for position, (algorithm, listed) in enumerate(reversed(inspection.listed.items())):
        name = MANIFEST_NAMES[algorithm]
        later = {MANIFEST_NAMES[each] for each in order[order.index(algorithm) :]}
        for path in listed:
            _check_listed_path(inspection, name, path)
        unlisted = set(inspection.sizes) - set(listed) - later
        for path in sorted(unlisted):
            _unlisted(inspection, name, path, first=position == 0)


def _check_listed_path(inspection: Inspection, manifest: str, path: str) -> None:
    try:
        relative_parts(path)
    except ValueError as error:
        inspection.find("unsafe_path", f"{manifest}", f"names {path!r}: {error}")
        return
    if path == layout.SIGNATURE.pattern:
        inspection.find("manifest", manifest, f"lists {path}, which no manifest may list")
    elif path not in inspection.sizes and not inspection.is_explained(path):
        explanation = explain_absence(inspection, path)
        message = explanation.message if explanation else f"is listed in {manifest} and not there"
        inspection.find("missing", path, message, explanation.cause if explanation else None)


def _find_elsewhere(inspection: Inspection) -> None:
    """One finding for a file that is missing under its name and there under another."""
    listed = next(reversed(inspection.listed.values()), {})
    missing = [path for path in listed if path not in inspection.sizes and not inspection.is_below_unlistable(path)]
    unlisted = set(inspection.sizes) - set(listed) - {layout.MANIFEST_BLAKE3.pattern}
    for path, elsewhere in find_elsewhere(inspection, missing, unlisted).items():
        inspection.find("missing", path, elsewhere.message, elsewhere.cause)
        inspection.elsewhere.add(elsewhere.path)


def _unlisted(inspection: Inspection, manifest: str, path: str, *, first: bool) -> None:
    if path in inspection.elsewhere or (not first and ("unlisted", path) in inspection.reported):
        return
    left = left_behind(path, inspection.listed_names)
    if left is None:
        inspection.find("unlisted", path, f"is not listed in {manifest}")
    elif ("unlisted", left.path) not in inspection.reported:
        inspection.find("unlisted", left.path, f"is not listed in {manifest}: {left.who}", "left_behind")
