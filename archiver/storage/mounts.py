"""Which file system a folder lies on: databases and locks cannot be shared by the machines of a network file system."""

from __future__ import annotations

import os
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")
"""Linux: device, folder, type, ... of each file system; white space in a folder's name is written as `\\040`."""

_NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "smbfs", "virtiofs"}
)
_NETWORK_PROGRAMS = ("sshfs", "s3fs", "gcsfuse", "goofys", "rclone", "glusterfs", "ceph", "juicefs", "blobfuse")
"""Of file systems in user space (`fuse.sshfs`)."""


def network_file_system(folder: Path, mounts: Path = MOUNTS) -> str | None:
    """The type of the network file system that a folder lies on; None: it lies on none, or this cannot be told.

    Args:
        folder: that is there.
        mounts: the table of what is mounted.
    """
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    resolved = os.fspath(folder.resolve())
    found = [(parts[1], parts[2]) for parts in map(str.split, lines) if parts[2:] and _is_below(resolved, parts[1])]
    if not found:
        return None
    _, kind = max(reversed(found), key=lambda each: len(each[0]))  # of several on one folder the last is seen
    is_program = any(kind.removeprefix("fuse.").startswith(name) for name in _NETWORK_PROGRAMS)
    return kind if kind in _NETWORK or (kind.startswith("fuse.") and is_program) else None


def _is_below(folder: str, mounted: str) -> bool:
    root = mounted.encode().decode("unicode_escape") if "\\" in mounted else mounted
    return root in ("/", folder) or folder.startswith(f"{root}/")
