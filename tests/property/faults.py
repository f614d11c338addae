"""Ways to damage an archive, as hypothesis draws them, and what verify must say of each.

Every way keeps the times of the files it leaves in place, and their sizes where it can: whoever looks at those only
sees nothing.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from archiver import layout
from archiver.archive.findings import VerifyReport
from archiver.storage.manifests import MANIFEST_NAMES

SEAL = layout.MANIFEST_BLAKE3.pattern
MANIFESTS = tuple(MANIFEST_NAMES.values())


@dataclass(frozen=True)
class Damage:
    """What was done."""

    what: str
    names: frozenset[str]
    """Paths in the archive; the report must name each of them, or one that stands in `instead`."""
    instead: frozenset[str] = frozenset()
    """Where a line of a manifest was hit: the files of that line, before and after."""
    blind: frozenset[str] = frozenset()
    """Algorithms that cannot see it, see `archiver.archive.verifying.verify`."""


@dataclass
class Subject:
    """An archive that may be damaged, and older or equal files to take from."""

    folder: Path
    older: dict[str, bytes]
    """Files of an earlier seal of the same archive."""
    elsewhere: Path
    """A folder outside of the archive."""
    files: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.files = sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())

    def path(self, name: str) -> Path:
        """A file of the archive."""
        return self.folder / name

    def write(self, name: str, data: bytes) -> None:
        """Replace the bytes of a file in place, its times kept."""
        status = os.stat(self.path(name))
        self.path(name).write_bytes(data)
        os.utime(self.path(name), ns=(status.st_atime_ns, status.st_mtime_ns))


def same_name(subject: Subject, draw: Any) -> str:
    """A file of any kind; manifests, of which there are few, as often as all others together."""
    return str(draw(st.sampled_from(MANIFESTS) | st.sampled_from(subject.files)))


def line_at(data: bytes, position: int) -> str:
    """The path in the line of a manifest that holds the byte at `position`."""
    line = data[data.rfind(b"\n", 0, position) + 1 :].split(b"\n", 1)[0]
    return line.partition(b"  ")[2].decode("utf-8", "replace")


def change_bytes(subject: Subject, name: str, what: str, data: bytes, position: int) -> Damage:
    """Write other bytes that differ at `position` first."""
    old = subject.path(name).read_bytes()
    subject.write(name, data)
    if name not in MANIFESTS:
        return Damage(f"{what} in {name}", frozenset({name}))
    lines = frozenset({line_at(old, position), line_at(data, position)}) - {""}
    return Damage(f"{what} in {name}", frozenset({name}), lines, blind_to(name, old, data))


def blind_to(name: str, old: bytes, new: bytes) -> frozenset[str]:
    """Nothing but the bytes of a file tells whether its BLAKE3 in the last manifest is right."""
    if name != SEAL or len(old) != len(new):
        return frozenset()
    hit = {line_at(old, position) for position in range(len(old)) if old[position] != new[position]}
    is_well_formed = [line[64:] for line in old.split(b"\n")] == [line[64:] for line in new.split(b"\n")] and all(
        line[:64].lower() == line[:64] and all(byte in b"0123456789abcdef" for byte in line[:64])
        for line in new.split(b"\n")
    )
    return frozenset({"md5", "sha256"}) if is_well_formed and not hit & set(MANIFESTS) else frozenset()


# -- the ways


def flip(subject: Subject, draw: Any) -> Damage:
    """One bit."""
    name = same_name(subject, draw)
    data = bytearray(subject.path(name).read_bytes())
    assume(data)
    bit = draw(st.integers(0, 8 * len(data) - 1))
    data[bit // 8] ^= 1 << bit % 8
    return change_bytes(subject, name, f"bit {bit} flipped", bytes(data), bit // 8)


def overwrite(subject: Subject, draw: Any) -> Damage:
    """A few bytes, as many as there were."""
    name = same_name(subject, draw)
    old = subject.path(name).read_bytes()
    new = draw(st.binary(min_size=1, max_size=200))
    assume(len(new) <= len(old))
    start = draw(st.integers(0, len(old) - len(new)))
    data = old[:start] + new + old[start + len(new) :]
    assume(data != old)
    position = next(position for position in range(len(old)) if old[position] != data[position])
    return change_bytes(subject, name, f"{len(new)} bytes overwritten", data, position)


def truncate(subject: Subject, draw: Any) -> Damage:
    """The end is gone."""
    name = same_name(subject, draw)
    data = subject.path(name).read_bytes()
    assume(data)
    length = draw(st.integers(0, len(data) - 1))
    return change_bytes(subject, name, f"cut off at {length}", data[:length], length)


def append(subject: Subject, draw: Any) -> Damage:
    """Something behind the end."""
    name = same_name(subject, draw)
    data = subject.path(name).read_bytes()
    more = draw(st.binary(min_size=1, max_size=100) | st.sampled_from([b"\n", b"\0", b" ", data[-50:] or b"x"]))
    return change_bytes(subject, name, f"{len(more)} bytes appended", data + more, len(data))


def delete(subject: Subject, draw: Any) -> Damage:
    """A file is gone."""
    name = same_name(subject, draw)
    subject.path(name).unlink()
    return Damage(f"{name} deleted", frozenset({name}))


def delete_folder(subject: Subject, draw: Any) -> Damage:
    """A folder with all that is in it is gone."""
    folder = draw(st.sampled_from(sorted({str(Path(name).parent) for name in subject.files} - {"."})))
    shutil.rmtree(subject.path(folder))
    return Damage(f"{folder}/ deleted", frozenset(name for name in subject.files if name.startswith(f"{folder}/")))


NEW_NAMES = st.sampled_from(
    [".hidden", "Thumbs.db", "manifest-md5.txt.bak", "manifest-sha512.txt", ".tmp-1-left", "readme.md", "a b", "ä",
     "a\u0308", "x\ny", "-rf", "~", "\u202etxt.exe", "README.md ", "journal.jsonl~"]
) | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..")
)  # fmt: skip


def add_file(subject: Subject, draw: Any) -> Damage:
    """A file that no manifest lists."""
    folder = draw(st.sampled_from(sorted({str(Path(name).parent) for name in subject.files})))
    name = os.path.normpath(os.path.join(folder, draw(NEW_NAMES)))
    assume(len(name.encode()) < 200 and not subject.path(name).exists())
    subject.path(name).write_bytes(draw(st.binary(max_size=20)))
    return Damage(f"{name!r} added", frozenset({name}))


def add_folder(subject: Subject, draw: Any) -> Damage:
    """An empty folder, or one in another."""
    name = draw(NEW_NAMES)
    assume(len(name.encode()) < 200 and not subject.path(name).exists())
    subject.path(name).mkdir()
    if draw(st.booleans()):
        (subject.path(name) / "inner").mkdir()
    return Damage(f"folder {name!r} added", frozenset({name}))


def swap(subject: Subject, draw: Any) -> Damage:
    """Two files change places."""
    first, second = same_name(subject, draw), same_name(subject, draw)
    data = {name: subject.path(name).read_bytes() for name in (first, second)}
    assume(data[first] != data[second])
    subject.write(first, data[second])
    subject.write(second, data[first])
    return Damage(f"{first} and {second} swapped", frozenset({first, second}))


def copy_over(subject: Subject, draw: Any) -> Damage:
    """One file is replaced by another one of the archive."""
    first, second = same_name(subject, draw), same_name(subject, draw)
    assume(subject.path(first).read_bytes() != subject.path(second).read_bytes())
    subject.write(first, subject.path(second).read_bytes())
    return Damage(f"{second} copied over {first}", frozenset({first}))


def replay(subject: Subject, draw: Any) -> Damage:
    """A file is replaced by its older self, from the seal before."""
    known = [name for name in subject.files if name in subject.older]
    name = draw(st.sampled_from([n for n in known if subject.older[n] != subject.path(n).read_bytes()]))
    old, new = subject.path(name).read_bytes(), subject.older[name]
    subject.write(name, new)
    lines = set(old.split(b"\n")) ^ set(new.split(b"\n")) if name == SEAL else set()
    return Damage(f"older {name}", frozenset({name}), frozenset(line_at(line, 0) for line in lines))


def link(subject: Subject, draw: Any) -> Damage:
    """A file, or a folder, is replaced by a symbolic link to an equal one."""
    name = same_name(subject, draw)
    if draw(st.booleans()) and "/" in name:
        name = name.split("/", 1)[0]
    target = subject.elsewhere / "target"
    shutil.move(subject.path(name), target)
    subject.path(name).symlink_to(target if draw(st.booleans()) else os.path.relpath(target, subject.path(name).parent))
    return Damage(f"{name} replaced by a link", frozenset({name}))


def inner_link(subject: Subject, draw: Any) -> Damage:
    """A link to another file of the archive is added."""
    name = draw(st.sampled_from(subject.files))
    subject.path("latest").symlink_to(name)
    return Damage(f"latest -> {name} added", frozenset({"latest"}))


def fifo(subject: Subject, draw: Any) -> Damage:
    """A file is replaced by a named pipe, which nobody must wait for."""
    name = same_name(subject, draw)
    subject.path(name).unlink()
    os.mkfifo(subject.path(name))
    return Damage(f"{name} replaced by a FIFO", frozenset({name}))


def folder_for_file(subject: Subject, draw: Any) -> Damage:
    """A file is replaced by a folder of its name."""
    name = same_name(subject, draw)
    subject.path(name).unlink()
    subject.path(name).mkdir()
    return Damage(f"{name} replaced by a folder", frozenset({name}))


def rename(subject: Subject, draw: Any) -> Damage:
    """A file gets another name, perhaps only another case, or moves to another folder."""
    name = same_name(subject, draw)
    new = draw(st.sampled_from([f"{name}.bak", name.swapcase(), Path(name).name, f"files/{Path(name).name}"]))
    assume(new != name and not os.path.lexists(subject.path(new)))
    subject.path(new).parent.mkdir(parents=True, exist_ok=True)
    subject.path(name).rename(subject.path(new))
    # Without the last manifest the archive is not sealed, and any file may be new.
    return Damage(f"{name} renamed to {new}", frozenset({name} if name == SEAL else {name, new}))


def upper_case(subject: Subject, draw: Any) -> Damage:
    """A hex digit of a manifest in upper case: the same number, another text."""
    name = draw(st.sampled_from(MANIFESTS))
    data = subject.path(name).read_bytes()
    starts = [position for position in range(len(data)) if position == 0 or data[position - 1 : position] == b"\n"]
    digits = [p for start in starts if start < len(data) for p in range(start, start + 32) if data[p] in b"abcdef"]
    position = draw(st.sampled_from(digits))
    data = data[:position] + data[position : position + 1].upper() + data[position + 1 :]
    return change_bytes(subject, name, f"digit at {position} in upper case", data, position)


def drop_line(subject: Subject, draw: Any) -> Damage:
    """A manifest no longer lists a file."""
    name = draw(st.sampled_from(MANIFESTS))
    lines = subject.path(name).read_bytes().splitlines(keepends=True)
    line = draw(st.integers(0, len(lines) - 1))
    path = line_at(lines[line], 0)
    subject.write(name, b"".join(lines[:line] + lines[line + 1 :]))
    return Damage(f"{path} dropped from {name}", frozenset({name}), frozenset({path}))


def reorder_lines(subject: Subject, draw: Any) -> Damage:
    """Two lines of a manifest change places, or a line stands there twice."""
    name = draw(st.sampled_from(MANIFESTS))
    lines = subject.path(name).read_bytes().splitlines(keepends=True)
    line = draw(st.integers(0, len(lines) - 2))
    paths = frozenset(line_at(each, 0) for each in lines[line : line + 2])
    swapped = [lines[line + 1], lines[line]] if draw(st.booleans()) else [lines[line], lines[line], lines[line + 1]]
    subject.write(name, b"".join(lines[:line] + swapped + lines[line + 2 :]))
    return Damage(f"line {line + 1} of {name} moved", frozenset({name}), paths)


WAYS: tuple[Callable[[Subject, Any], Damage], ...] = (
    flip, overwrite, truncate, append, delete, delete_folder, add_file, add_folder, swap, copy_over, replay, link,
    inner_link, fifo, folder_for_file, rename, upper_case, drop_line, reorder_lines,
)  # fmt: skip


# -- what the report says


def names(report: VerifyReport, path: str) -> bool:
    """Whether the findings name a path of the archive, as the place or, by itself, in the message."""
    alone = re.compile(rf"(?<![\w./-]){re.escape(path)}(?![\w/-])")
    return any(
        finding.path == path
        or finding.path.startswith((f"{path}:", f"{path}#"))
        or alone.search(finding.message) is not None
        for finding in report.findings
    )


def is_named(report: VerifyReport, damage: Damage) -> bool:
    """Whether the report names what was hit."""
    return all(names(report, path) for path in damage.names) or any(names(report, path) for path in damage.instead)
