"""Digests of all files of a folder, several at a time: hashlib and blake3 let other threads run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from archiver.cores import usable_cores
from archiver.storage.beneath import opened_folder, walk
from archiver.storage.digests import file_digests

SMALL_TOTAL_BYTES = 4 << 20
"""Below this, starting threads costs more than they bring."""


def regular_files(root: Path) -> dict[str, int]:
    """`{POSIX path: size in bytes}` of the regular files below `root`, links and special files left out.

    Raises:
        UnsafeFileError: too many files, or folders nested too deep; see `walk`.
        StorageError: a folder cannot be read.
    """
    with opened_folder(root) as folder:
        return {entry.path: entry.size_bytes for entry in walk(folder) if entry.kind == "file"}


def hash_files(root: Path, sizes: dict[str, int], algorithms: Sequence[str]) -> dict[str, dict[str, str]]:
    """`{path: {algorithm: lowercase hex}}`; each file is read once.

    Raises:
        OSError: a file cannot be read.
    """
    results: dict[str, dict[str, str]] = {}

    def hash_one(path: str) -> None:
        with (root / path).open("rb", buffering=0) as file:
            results[path] = file_digests(file, algorithms)

    threads = 1 if sum(sizes.values()) < SMALL_TOTAL_BYTES else usable_cores()
    in_threads(hash_one, sorted(sizes, key=lambda path: -sizes[path]), threads)
    return results


def in_threads(function: Callable[[str], None], items: Sequence[str], threads: int) -> None:
    """Call `function` for each item, in the given order, on up to `threads` threads; the first error is raised.

    Plain threads instead of an executor: this also runs at interpreter exit, where executors refuse work and new
    threads may be refused, in which case the calling thread does it all.
    """
    remaining = list(reversed(items))
    errors: list[BaseException] = []
    lock = threading.Lock()

    def work() -> None:
        while not errors:
            with lock:
                if not remaining:
                    return
                item = remaining.pop()
            try:
                function(item)
            except BaseException as error:  # noqa: BLE001 - handed to the calling thread
                errors.append(error)

    helpers: list[threading.Thread] = []
    for _ in range(min(threads, len(items)) - 1):
        helper = threading.Thread(target=work, name="archiver-hash", daemon=True)
        try:
            helper.start()
        except RuntimeError:
            break
        helpers.append(helper)
    work()
    for helper in helpers:
        helper.join()
    if errors:
        raise errors[0]
