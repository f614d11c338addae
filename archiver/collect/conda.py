"""Packages of a conda environment, read from the notes that conda (mamba, pixi) leaves: no program is run."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from archiver.collect.redaction import redact_remote
from archiver.records.base import Unavailable
from archiver.records.environment import CondaPackagePart

MAXIMAL_BYTES = 32 << 20

_CHANNEL = re.compile(rb'^ {1,4}"channel": "([^"\n]{1,1000})"', re.MULTILINE)
_SHA256 = re.compile(rb'^ {1,4}"sha256": "([0-9a-f]{64})"', re.MULTILINE)


def collect_conda_packages(prefix: Path | None = None) -> dict[str, CondaPackagePart] | None:
    """Packages of the environment that Python lies in, by name, sorted; None where it is no environment of conda.

    Name, version and build are those of the note's file name, which conda defines so; of the notes, which list every
    file and may take megabytes, only the two lines that matter are looked for.
    """
    folder = (prefix or Path(sys.prefix)) / "conda-meta"
    if not (folder / "history").is_file() and not any(folder.glob("*.json")):
        return None
    packages = {}
    for note in sorted(folder.glob("*.json")):
        pieces = note.name.removesuffix(".json").rsplit("-", 2)
        if len(pieces) == 3:  # noqa: PLR2004 - name, version, build
            packages[pieces[0]] = _package(note, pieces[1], pieces[2])
    return dict(sorted(packages.items()))


def _package(note: Path, version: str, build: str) -> CondaPackagePart:
    try:
        with note.open("rb") as file:
            text = file.read(MAXIMAL_BYTES)
    except OSError as error:
        unread = Unavailable(unavailable=f"its note cannot be read: {error.strerror}")
        return CondaPackagePart(version=version, build=build, channel=unread, sha256=unread)
    untold = Unavailable(unavailable="its note does not tell")
    channel, sha256 = _CHANNEL.search(text), _SHA256.search(text)
    return CondaPackagePart(
        version=version,
        build=build,
        channel=redact_remote(channel[1].decode(errors="replace")) if channel else untold,
        sha256=sha256[1].decode() if sha256 else untold,
    )
