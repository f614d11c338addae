"""Whether a bag (BagIt, RFC 8493) around an archive is whole: its tag files, and its payload manifests.

The bytes of the archive are checked against the archive's own manifests; those of the bag have to say the same, so that
no byte is read twice. What the archive's manifests do not list is read here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from archiver.archive.findings import Finding, FindingCode
from archiver.errors import ArchiverError
from archiver.storage import bagit
from archiver.storage.bagit import BagManifest
from archiver.storage.beneath import opened_folder, relative_parts, walk
from archiver.storage.digests import file_digests
from archiver.storage.manifests import MAXIMAL_MANIFEST_BYTES
from archiver.storage.reading import open_below, read_below

MAXIMAL_TAG_BYTES = 1 << 20
"""Of `bagit.txt` and `bag-info.txt`."""

_SEAL_ID_LENGTH = 64

Listed = Mapping[str, Mapping[str, str]]
"""`{algorithm: {path in the archive: digest}}`."""


@dataclass
class BagInspection:
    """What is gathered while a bag is checked; paths are relative to the bag."""

    folder: Path
    inside: str
    """The archive's folder in the bag, with a slash behind: `data/digits_models/`."""
    findings: list[Finding] = field(default_factory=list)
    information: list[Finding] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    """Bytes of each regular file of the bag."""
    on_bytes: Callable[[int], None] | None = None
    reported: set[tuple[FindingCode, str]] = field(default_factory=set)

    def find(self, code: FindingCode, path: str, message: str) -> None:
        """Report a fault; one that several manifests tell of is told once."""
        if code not in ("missing", "unlisted") or (code, path) not in self.reported:
            self.findings.append(Finding(code, path, message))
        self.reported.add((code, path))

    def read(self, path: str, limit: int) -> bytes | None:
        """A tag file; None where it cannot be read, which is reported."""
        try:
            return read_below(self.folder, path, limit)
        except (OSError, ArchiverError) as error:
            self.find("unreadable", path, str(error))
            return None

    def payload(self) -> set[str]:
        """The payload files."""
        return {path for path in self.sizes if path.startswith(bagit.PAYLOAD_PREFIX)}


def check_bag(bag: BagInspection, listed: Listed, seal_id: str | None) -> None:
    """Check all that the bag says beyond the archive in it.

    Args:
        bag: what is found is written into it.
        listed: the archive's manifests, as far as its bytes were compared with them.
        seal_id: of the archive; None: it is not sealed.
    """
    _list_files(bag)
    _check_declaration(bag)
    if bagit.FETCH_NAME in bag.sizes:
        bag.find("unlisted", bagit.FETCH_NAME, "names payload files that lie elsewhere; nothing is fetched")
    info = _read_info(bag)
    _check_oxum(bag, info)
    _check_identifier(bag, info, seal_id)
    payload, tags = _manifests(bag, of_tags=False), _manifests(bag, of_tags=True)
    if not payload:
        bag.find("missing", "manifest-sha256.txt", "the bag has no payload manifest that is known here")
    for algorithm, manifest in payload.items():
        _check_payload_list(bag, f"manifest-{algorithm}.txt", manifest)
    for algorithm, manifest in tags.items():
        _check_tag_list(bag, f"tagmanifest-{algorithm}.txt", manifest)
    _check_against_archive(bag, payload, listed)
    _check_bytes(bag, _to_hash(bag, payload, tags, listed))


def _list_files(bag: BagInspection) -> None:
    try:
        with opened_folder(bag.folder) as root:
            for entry in walk(root):
                if entry.kind == "file":
                    bag.sizes[entry.path] = entry.size_bytes
                elif entry.kind != "folder" and not entry.path.startswith(bag.inside):
                    bag.find("not_a_regular_file", entry.path, f"is a {entry.kind}; it was not followed")
    except ArchiverError as error:
        bag.find("unreadable", "", f"its files cannot be listed: {error}")


def _check_declaration(bag: BagInspection) -> None:
    data = bag.read(bagit.DECLARATION_NAME, MAXIMAL_TAG_BYTES)
    fault = bagit.declaration_fault(data) if data is not None else None
    if fault is not None:
        bag.find("manifest", bagit.DECLARATION_NAME, fault)


def _read_info(bag: BagInspection) -> dict[str, list[str]]:
    data = bag.read(bagit.INFO_NAME, MAXIMAL_TAG_BYTES) if bagit.INFO_NAME in bag.sizes else None
    fields, faults = bagit.parse_info(data or b"")
    for fault in faults:
        bag.find("manifest", f"{bagit.INFO_NAME}:{fault.line}", fault.reason)
    return fields


def _check_oxum(bag: BagInspection, info: dict[str, list[str]]) -> None:
    payload = bag.payload()
    found = f"{sum(bag.sizes[path] for path in payload)}.{len(payload)}"
    for declared in info.get("payload-oxum", ()):
        if declared != found:
            message = f"Payload-Oxum is {declared}; the payload is {found} (bytes, a dot, files)"
            bag.find("disagreement", bagit.INFO_NAME, message)


def _check_identifier(bag: BagInspection, info: dict[str, list[str]], seal_id: str | None) -> None:
    """Other programs may name a bag as they like; what looks like a seal id has to be that of the archive."""
    identifiers = info.get("external-identifier", ())
    others = [each for each in identifiers if len(each) == _SEAL_ID_LENGTH and set(each) <= set("0123456789abcdef")]
    if others and seal_id not in others:
        message = f"External-Identifier is {others[0]}; the seal id of the archive is {seal_id}"
        bag.find("disagreement", bagit.INFO_NAME, message)


def _manifests(bag: BagInspection, *, of_tags: bool) -> dict[str, BagManifest]:
    found: dict[str, BagManifest] = {}
    for name in sorted(path for path in bag.sizes if "/" not in path):
        algorithm = bagit.manifest_algorithm(name, of_tags=of_tags)
        if algorithm is None:
            continue
        if algorithm not in bagit.DIGEST_LENGTHS:
            bag.information.append(Finding("unknown_file", name, f"{algorithm} is not known here; it was not checked"))
            continue
        data = bag.read(name, MAXIMAL_MANIFEST_BYTES)
        if data is None:
            continue
        found[algorithm] = _as_found(bagit.parse_bag_manifest(data, algorithm), bag.sizes)
        for fault in found[algorithm].faults:
            bag.find("manifest", f"{name}:{fault.line}", fault.reason)
    return found


def _as_found(manifest: BagManifest, sizes: Mapping[str, int]) -> BagManifest:
    """Some programs write percent signs as they are: a path that is there as it is written is meant so."""
    meant = {path: written for path, written in manifest.written.items() if path not in sizes and written in sizes}
    digests = {meant.get(path, path): digest for path, digest in manifest.digests.items()}
    return BagManifest(digests, {}, manifest.faults)


def _check_payload_list(bag: BagInspection, name: str, manifest: BagManifest) -> None:
    payload = bag.payload()
    for path in manifest.digests:
        if not path.startswith(bagit.PAYLOAD_PREFIX):
            bag.find("manifest", name, f"names {path!r}, which is no payload: expected a path below data/")
        elif _is_safe(bag, name, path) and path not in payload:
            bag.find("missing", path, f"is listed in {name} and not there")
    for path in sorted(payload - set(manifest.digests)):
        bag.find("unlisted", path, f"is not listed in {name}")


def _check_tag_list(bag: BagInspection, name: str, manifest: BagManifest) -> None:
    for path in manifest.digests:
        if path.startswith(bagit.PAYLOAD_PREFIX) or bagit.manifest_algorithm(path, of_tags=True):
            bag.find("manifest", name, f"names {path!r}; expected tag files other than tag manifests")
        elif _is_safe(bag, name, path) and path not in bag.sizes:
            bag.find("missing", path, f"is listed in {name} and not there")
    tags = set(bag.sizes) - bag.payload()
    for path in sorted(tags - set(manifest.digests)):
        if bagit.manifest_algorithm(path, of_tags=True) is None:
            bag.information.append(Finding("unknown_file", path, f"is not listed in {name}; its bytes are not checked"))


def _is_safe(bag: BagInspection, name: str, path: str) -> bool:
    try:
        relative_parts(path)
    except ValueError as error:
        if path not in bag.sizes:  # a name that is there as it is can be no way out
            bag.find("unsafe_path", name, f"names {path!r}: {error}")
            return False
    return True


def _own_digest(bag: BagInspection, listed: Listed, algorithm: str, path: str) -> str | None:
    """What the archive's manifest says of a payload file; None: nothing."""
    if not path.startswith(bag.inside):
        return None
    return listed.get(algorithm, {}).get(path.removeprefix(bag.inside))


def _check_against_archive(bag: BagInspection, payload: dict[str, BagManifest], listed: Listed) -> None:
    for algorithm, manifest in payload.items():
        name = f"manifest-{algorithm}.txt"
        for path, digest in manifest.digests.items():
            if _own_digest(bag, listed, algorithm, path) not in (None, digest):
                bag.find("disagreement", path, f"{name} of the bag and {name} of the archive have different digests")


def _to_hash(
    bag: BagInspection, payload: dict[str, BagManifest], tags: dict[str, BagManifest], listed: Listed
) -> dict[str, dict[str, str]]:
    """`{path: {algorithm: digest}}` of what has to be read: the tag files, and what only the bag's manifests list."""
    wanted: dict[str, dict[str, str]] = {}
    for algorithm, path, digest in (*_lines(payload), *_lines(tags)):
        if path in bag.sizes and _own_digest(bag, listed, algorithm, path) is None:
            wanted.setdefault(path, {})[algorithm] = digest
    return wanted


def _lines(manifests: dict[str, BagManifest]) -> Iterator[tuple[str, str, str]]:
    for algorithm, manifest in manifests.items():
        for path, digest in manifest.digests.items():
            yield algorithm, path, digest


def _check_bytes(bag: BagInspection, wanted: dict[str, dict[str, str]]) -> None:
    for path in sorted(wanted):
        try:
            with open_below(bag.folder, path) as file:
                found = file_digests(file, wanted[path], bag.on_bytes)
        except (OSError, ArchiverError) as error:
            bag.find("unreadable", path, str(error))
            continue
        differing = [algorithm for algorithm, digest in wanted[path].items() if found[algorithm] != digest]
        if differing:
            bag.find("changed", path, f"its {', '.join(differing)} is not the one in the bag's manifest")
