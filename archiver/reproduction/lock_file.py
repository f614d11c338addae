"""`pylock.toml` as PEP 751 defines it: https://packaging.python.org/specifications/pylock-toml."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class LockedWheel:
    """A package, and the file in the index that was installed."""

    name: str
    """Normalised (PEP 503)."""
    version: str
    filename: str
    url: str
    sha256: str


def lock_text(wheels: Sequence[LockedWheel], python_version: str, left_out: Mapping[str, str], seal_id: str) -> str:
    """The document.

    Args:
        wheels: sorted by name.
        python_version: such as 3.11.7; any release of 3.11 will do.
        left_out: by package, why it is not in the lock.
        seal_id: of the archive that it belongs to.
    """
    feature = ".".join(python_version.split(".")[:2])
    lines = ['lock-version = "1.0"', 'created-by = "archiver"', f'requires-python = "=={feature}.*"']
    for wheel in wheels:
        file = f"name = {_quoted(wheel.filename)}, url = {_quoted(wheel.url)}"
        lines += [
            "",
            "[[packages]]",
            f"name = {_quoted(wheel.name)}",
            f"version = {_quoted(wheel.version)}",
            f"wheels = [{{ {file}, hashes = {{ sha256 = {_quoted(wheel.sha256)} }} }}]",
        ]
    lines += ["", "[tool.archiver]", f"seal-id = {_quoted(seal_id)}"]
    if left_out:
        lines += ["", "[tool.archiver.left-out]"]
        lines += [f"{_quoted(name)} = {_quoted(reason)}" for name, reason in left_out.items()]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    # A basic string of TOML is one of JSON, but for DEL and for characters beyond U+FFFF, which stand as they are.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
