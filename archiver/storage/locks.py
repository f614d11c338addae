"""Locks that end with the process that holds them, on file systems that have any.

Network file systems may have none, or none for folders (NFS wants a lock to be on what is open for writing). Nothing
that archiver writes depends on a lock: names are claimed by `mkdir`, files are made whole by `rename`. Where there are
no locks, they do not keep two processes from going on with the same work; that they are two is then for their user to
see to.
"""

from __future__ import annotations

import errno
import fcntl

_HELD = frozenset({errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES})
_NOT_THERE = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EINVAL})


def try_lock(descriptor: int) -> bool:
    """Lock an open file or folder for this process alone, until it is closed or the process ends in any way.

    Returns:
        False: another process holds it. True: it is locked, or the file system has no locks.

    Raises:
        OSError: anything else that the file system says.
    """
    return _lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def wait_for_lock(descriptor: int) -> None:
    """As `try_lock`, once no other process holds it."""
    _lock(descriptor, fcntl.LOCK_EX)


def _lock(descriptor: int, operation: int) -> bool:
    try:
        fcntl.flock(descriptor, operation)
    except OSError as error:
        if error.errno in _HELD:
            return False
        if error.errno not in _NOT_THERE:
            raise
    return True
