"""An archive as a bag: BagIt 1.0 (RFC 8493), which libraries and repositories take.

The payload is the run's folder, by hard links, so that a bag costs next to no space. Files that archiver appends to
when an archive is changed are copied: they would change in the bag too.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from archiver import layout
from archiver.archive.run import Run
from archiver.archive.verifying import require_whole
from archiver.export.output import folder_name, new_output
from archiver.storage import bagit
from archiver.storage.digests import bytes_digests
from archiver.storage.hashing import hash_files, regular_files
from archiver.storage.manifests import MANIFEST_NAMES, MAXIMAL_MANIFEST_BYTES, parse_manifest
from archiver.storage.reading import read_below
from archiver.version import __version__

BAG_ALGORITHMS = ("md5", "sha256")

_APPENDED = (layout.JOURNAL, layout.TRACES)
_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES)
"""Another file system, one without hard links, or files of somebody else."""


@dataclass(frozen=True)
class BagExport:
    """What was written."""

    path: Path
    linked_count: int
    copied_count: int
    no_links: str | None
    """Why files were copied that could have been linked."""


def export_bag(run: Run, output: Path) -> BagExport:
    """Write a sealed archive as a bag.

    Args:
        run: the archive.
        output: the folder of the bag, which is made.

    Raises:
        ArgumentError: `output` lies in the archive.
        RunStateError: the archive is not sealed or not whole, or there is something at `output`.
        StorageError: the file system refused; nothing is left at `output`.
    """
    require_whole(run, "all")  # the digests in the bag are those of the manifests, which are thereby true
    folder = folder_name(run)
    with new_output(run, output) as bag:
        payload = bag / bagit.PAYLOAD_PREFIX / folder
        os.makedirs(payload)
        counts = _fill(run, payload)
        sizes = regular_files(run.path)
        _write_tags(bag, run, sizes, _payload_digests(run, sizes, f"{bagit.PAYLOAD_PREFIX}{folder}/"))
    return BagExport(output, *counts)


def _fill(run: Run, payload: Path) -> tuple[int, int, str | None]:
    """Files linked, files copied, and why more were copied than had to be."""
    linked = copied = 0
    no_links: str | None = None
    for path in sorted(regular_files(run.path)):
        source, target = run.path / path, payload / path
        os.makedirs(target.parent, exist_ok=True)
        if no_links is None and not any(file.matches(path, run.name) for file in _APPENDED):
            no_links = _link(source, target)
            if no_links is None:
                linked += 1
                continue
        shutil.copy2(source, target, follow_symlinks=False)
        copied += 1
    return linked, copied, no_links


def _link(source: Path, target: Path) -> str | None:
    """Why there cannot be a hard link; None: there is one."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return error.strerror or str(error)
    return None


def _payload_digests(run: Run, sizes: Mapping[str, int], prefix: str) -> dict[str, dict[str, str]]:
    """`{algorithm: {path in the bag: digest}}`: from the manifests, and of the manifests themselves."""
    found: dict[str, dict[str, str]] = {}
    for algorithm in BAG_ALGORITHMS:
        manifest = read_below(run.path, MANIFEST_NAMES[algorithm], MAXIMAL_MANIFEST_BYTES)
        known = parse_manifest(manifest, algorithm)[0]
        rest = {path: size for path, size in sizes.items() if path not in known}
        known |= {path: each[algorithm] for path, each in hash_files(run.path, rest, (algorithm,)).items()}
        found[algorithm] = {prefix + path: digest for path, digest in known.items()}
    return found


def _write_tags(bag: Path, run: Run, sizes: Mapping[str, int], payload: Mapping[str, Mapping[str, str]]) -> None:
    tags = {bagit.DECLARATION_NAME: bagit.DECLARATION, bagit.INFO_NAME: bagit.format_info(_info(run, sizes))}
    tags |= {f"manifest-{algorithm}.txt": bagit.format_bag_manifest(lines) for algorithm, lines in payload.items()}
    digests = {name: bytes_digests(data, BAG_ALGORITHMS) for name, data in tags.items()}
    for algorithm in BAG_ALGORITHMS:
        lines = {name: each[algorithm] for name, each in digests.items()}
        tags[f"tagmanifest-{algorithm}.txt"] = bagit.format_bag_manifest(lines)
    for name, data in tags.items():
        (bag / name).write_bytes(data)


def _info(run: Run, sizes: Mapping[str, int]) -> list[tuple[str, str]]:
    """`bag-info.txt`: reserved labels of RFC 8493, section 2.2.2."""
    return [
        ("Bag-Software-Agent", f"keras-archiver {__version__}"),
        ("Bagging-Date", datetime.now(UTC).date().isoformat()),
        ("External-Identifier", str(run.seal_id)),
        ("External-Description", f"Archive of the training run {run.name} ({run.status.describe()})"),
        ("Payload-Oxum", f"{sum(sizes.values())}.{len(sizes)}"),
    ]
