"""Proposals for files of any kind: from elsewhere, cut to the recorded length, as text, one bit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from archiver.repairing.bits import MAXIMAL_SECONDS, flipped_back
from archiver.repairing.seals import STRONG
from archiver.repairing.workbench import Bench, Candidate, of_bytes
from archiver.storage import files
from archiver.storage.digests import ALGORITHMS, BLOCK_BYTES
from archiver.storage.reading import open_below

MAXIMAL_TEXT_BYTES = 16 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def from_elsewhere(bench: Bench, name: str) -> Iterator[Candidate]:
    """The same bytes under another name in the damaged archive, listed or not."""
    for other, digests in bench.found.items():
        if other != name and bench.seals.proves(name, digests):
            yield f"{other} has its bytes", partial(_copy, bench.source.path, other)


def _copy(folder: Path, name: str, target: Path) -> None:
    with open_below(folder, name) as file, target.open("wb") as out:
        while data := file.read(BLOCK_BYTES):
            out.write(data)


def as_text(bench: Bench, name: str) -> Iterator[Candidate]:
    """Longer than it was, or with other ends of lines."""
    path = bench.path(name)
    size = path.stat().st_size if path.is_file() else 0
    recorded = bench.seals.recorded.get(name)
    if recorded and size > recorded[0]:
        yield "what was appended is cut off", partial(_cut, path, recorded[0])
    if not 0 < size <= MAXIMAL_TEXT_BYTES:
        return
    data = path.read_bytes()
    yield "CR LF turned back into LF", of_bytes(data.replace(b"\r\n", b"\n"))
    yield "LF turned back into CR LF", of_bytes(data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    yield "without a byte order mark", of_bytes(data.removeprefix(_BYTE_ORDER_MARK))
    yield (
        "without the mark, CR LF turned into LF",
        of_bytes(data.removeprefix(_BYTE_ORDER_MARK).replace(b"\r\n", b"\n")),
    )
    yield "what was appended is cut off", of_bytes(data[: data.rfind(b"}\n") + 2])
    for end in (b"\n", b"}\n", b"\n}\n", b"\r\n"):
        yield "the last characters written again", of_bytes(data.rstrip(b"\n}") + end)
        yield "the last characters written again", of_bytes(data + end)


def _cut(path: Path, size: int, target: Path) -> None:
    files.copy_file(path, target)
    with target.open("r+b") as file:
        file.truncate(size)


def with_one_bit_flipped(bench: Bench, name: str) -> Iterator[Candidate]:
    """One bit, where the file is as long as it was."""
    path, expected = bench.path(name), bench.seals.expected(name)
    algorithm = next((each for each in (*STRONG, *ALGORITHMS) if each in expected), None)
    recorded = bench.seals.recorded.get(name)
    if algorithm is None or name not in bench.digests or (recorded and recorded[0] != path.stat().st_size):
        return
    if path.stat().st_size > MAXIMAL_TEXT_BYTES:
        return
    key = (f"bits of {name}", bench.digests[name]["sha256"])
    if key in bench.memory or bench.seconds_left <= 0:
        return
    began = time.monotonic()
    seconds = min(MAXIMAL_SECONDS, bench.seconds_left)
    found = flipped_back(path.read_bytes(), name, algorithm, expected[algorithm], seconds)
    bench.memory[key] = None
    bench.seconds_left -= time.monotonic() - began
    if found is not None:
        yield "one bit was flipped, and is flipped back", of_bytes(found)
