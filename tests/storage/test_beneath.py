"""Paths that stay below their folder, files opened without following anything, and complete listings."""

from __future__ import annotations

import os
import posixpath
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.errors import ArchiverError, StorageError, UnsafeFileError, UnsafePathError
from archiver.storage import beneath
from archiver.storage.beneath import Entry, open_beneath, opened_folder, relative_parts, walk


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with something of every kind in it."""
    root = tmp_path / "archive"
    (root / "models" / "deep").mkdir(parents=True)
    (root / "models" / "deep" / "a.txt").write_text("inside")
    (root / "models-old").write_text("sorts between the folder and what is in it")
    (tmp_path / "secret.txt").write_text("outside")
    (root / "link.txt").symlink_to(tmp_path / "secret.txt")
    (root / "linked").symlink_to(tmp_path)
    (root / "dangling").symlink_to("nowhere")
    os.mkfifo(root / "fifo")
    return root


@pytest.fixture
def root(folder: Path) -> Iterator[int]:
    with opened_folder(folder) as descriptor:
        yield descriptor


def read(root: int, path: str) -> str:
    with os.fdopen(open_beneath(root, path)) as file:
        return file.read()


def listed(folder: Path) -> list[Entry]:
    with opened_folder(folder) as descriptor:
        return list(walk(descriptor))


REFUSED_PATHS = {
    "": "is empty",
    "/etc/passwd": "is absolute",
    "..": "component '..'",
    "models/../../secret.txt": "component '..'",
    "./a": "component '.'",
    "a//b": "component ''",
    "a/": "component ''",
    "a\0b": "NUL",
    "a\\b": "backslash",
    "C:evil": "drive letter",
    "c:/evil": "drive letter",
    "a\nb": "control character",
    "a\x7f": "control character",
    "a\x85b": "control character",
    "a\udc80": "not valid Unicode",
    "é" * 2049: "has 4098 bytes",
}


@pytest.mark.parametrize("path", REFUSED_PATHS)
def test_unsafe_paths_are_refused_with_the_reason(path: str, root: int) -> None:
    with pytest.raises(UnsafePathError, match=REFUSED_PATHS[path]) as caught:
        relative_parts(path)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, ArchiverError)
    with pytest.raises(UnsafePathError):
        open_beneath(root, path)


@given(st.text(st.characters(codec="utf-8"), max_size=20) | st.text("./\\:ab\0", max_size=12))
def test_an_accepted_path_stays_below_its_folder(path: str) -> None:
    try:
        parts = relative_parts(path)
    except UnsafePathError:
        return
    assert "/".join(parts) == path == posixpath.normpath(path)
    assert posixpath.normpath(posixpath.join("/root", path)).startswith("/root/")


def test_a_file_below_is_read(root: int) -> None:
    assert read(root, "models/deep/a.txt") == "inside"


@pytest.mark.parametrize("path", ["link.txt", "linked/secret.txt", "dangling", "fifo", "models", "models-old/a"])
@pytest.mark.timeout(10)
def test_what_is_no_regular_file_is_refused_without_waiting(root: int, path: str) -> None:
    with pytest.raises(UnsafeFileError, match=r"Received a \w+\. Expected a \w+\."):
        open_beneath(root, path)


def test_a_device_is_not_opened() -> None:
    with opened_folder(Path("/dev")) as root, pytest.raises(UnsafeFileError, match="Received a device"):
        open_beneath(root, "null")


def test_what_is_missing_is_named_in_full(root: int) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        open_beneath(root, "models/deep/b.txt")
    assert caught.value.filename == "models/deep/b.txt"


@pytest.mark.parametrize("path", ["link.txt", "linked/secret.txt"])
def test_a_link_that_replaces_a_file_after_the_look_is_not_followed(
    folder: Path, root: int, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.stat(folder / ("models" if "/" in path else "models-old"))
    monkeypatch.setattr(beneath.os, "stat", lambda *_, **__: before)
    with pytest.raises(OSError, match=path):
        open_beneath(root, path)


def test_no_descriptor_is_left_open(root: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for path in ("models/deep/a.txt", "link.txt", "models/deep/none", "fifo"):
        try:
            os.close(open_beneath(root, path))
        except (OSError, UnsafeFileError):
            continue
    list(walk(root))
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot open"), opened_folder(tmp_path / "none"):
        pass


def test_a_listing_has_every_kind_and_is_sorted_by_bytes(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        before = Path.cwd()
        os.chdir(folder)  # the path of a socket is limited to about 100 bytes
        try:
            server.bind("socket")
        finally:
            os.chdir(before)
        found = listed(folder)
    assert {entry.path: entry.kind for entry in found} == {
        "dangling": "symlink",
        "fifo": "fifo",
        "link.txt": "symlink",
        "linked": "symlink",
        "models": "folder",
        "models-old": "file",
        "models/deep": "folder",
        "models/deep/a.txt": "file",
        "socket": "socket",
    }
    assert [entry.path for entry in found] == sorted(entry.path for entry in found)


def test_a_listing_tells_size_time_and_links(folder: Path) -> None:
    os.link(folder / "models-old", folder / "again")
    os.utime(folder / "again", ns=(0, 1_234_567_890_123_456_789))
    entry = next(entry for entry in listed(folder) if entry.path == "models-old")
    assert (entry.size_bytes, entry.modified_ns, entry.link_count) == (42, 1_234_567_890_123_456_789, 2)


def test_names_that_are_no_utf8_are_listed(folder: Path) -> None:
    (folder / os.fsdecode(b"caf\xe9")).touch()
    (folder / "café").touch()
    assert {entry.path: entry.is_utf8 for entry in listed(folder) if "caf" in entry.path} == {
        "café": True,
        "caf\udce9": False,
    }


@given(st.lists(st.lists(st.sampled_from(["a", "b", "a-", "a.b", "é", "Z"]), min_size=1, max_size=4), max_size=12))
def test_listings_are_complete(tmp_path_factory: pytest.TempPathFactory, paths: list[list[str]]) -> None:
    root = tmp_path_factory.mktemp("listing")
    for path in paths:
        root.joinpath(*path).mkdir(parents=True, exist_ok=True)
    expected = {str(path.relative_to(root)) for path in root.rglob("*")}
    assert [entry.path for entry in listed(root)] == sorted(expected, key=str.encode)


def test_too_deep(tmp_path: Path) -> None:
    tmp_path.joinpath(*["d"] * beneath.MAXIMAL_DEPTH).mkdir(parents=True)
    with pytest.raises(UnsafeFileError, match="nested too deep"):
        listed(tmp_path)
    assert len(listed(tmp_path / "d")) == beneath.MAXIMAL_DEPTH - 1


def test_too_many(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beneath, "MAXIMAL_ENTRIES", 8)
    assert len(listed(folder)) == 8
    monkeypatch.setattr(beneath, "MAXIMAL_ENTRIES", 7)
    with pytest.raises(UnsafeFileError, match="Expected at most 7"):
        listed(folder)


def test_what_disappears_meanwhile_is_left_out(folder: Path, root: int) -> None:
    listing = walk(root)
    assert next(entry for entry in listing if entry.path == "models").kind == "folder"
    (folder / "models" / "deep" / "a.txt").unlink()
    (folder / "models" / "deep").rmdir()
    (folder / "models").rmdir()
    assert [entry.path for entry in listing] == ["models-old"]


def test_a_folder_that_cannot_be_read_is_named(root: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(beneath.os, "scandir", refuse)
    with pytest.raises(StorageError, match=r"cannot list '\.': Permission denied"):
        list(walk(root))
