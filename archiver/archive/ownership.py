"""Which seals this user's own trainings made: what tells a run of one's own from a stranger's.

Whatever an archive says of its maker can be made up. A seal id cannot: it stands for every byte. So trainings note
theirs in a file that only this user can write, and an archive is the user's own when it is whole and its seal is there.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

MAXIMAL_BYTES = 64 << 20
"""A million seals."""
_SEAL_ID = re.compile(r"[0-9a-f]{64}")


def seals_file() -> Path:
    """Where the user's own seals stand, one a line."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return Path(state) / "archiver" / "own-seals"


def note_own(seal_id: str) -> None:
    """Remember that a training of this user made this seal; without a place to write, runs pass for strangers'."""
    path = seals_file()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists() or path.stat().st_size < MAXIMAL_BYTES:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, f"{seal_id}\n".encode())
            finally:
                os.close(descriptor)


def is_own(seal_id: str | None) -> bool:
    """Whether a training of this user made this seal. A file that others may write tells nothing."""
    if seal_id is None or not _SEAL_ID.fullmatch(seal_id):
        return False
    try:
        with open(seals_file(), "rb") as file:
            status = os.fstat(file.fileno())
            if status.st_uid != os.getuid() or status.st_mode & 0o022:
                return False
            return seal_id.encode() in file.read(MAXIMAL_BYTES + 100).split()
    except OSError:
        return False
