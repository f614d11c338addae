import os
import stat
import zipfile
from pathlib import Path

import pytest

from archiver.errors import ArchiverError, DamagedFileError, StorageError, UnsafeFileError, UnsafePathError
from archiver.storage import unpacking
from archiver.storage.unpacking import unpack


def packed(path: Path, members: dict[str, bytes], **options) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data, **options)
    return path


def unpacked(path: Path) -> dict[str, bytes]:
    target = path.with_suffix(".unpacked")
    target.mkdir()
    with path.open("rb") as file:
        unpack(file, path.name, target)
    found = [each for each in target.rglob("*") if each.is_file()]
    return {each.relative_to(target).as_posix(): each.read_bytes() for each in found}


def refused(path: Path, error: type[ArchiverError], message: str) -> None:
    with pytest.raises(error, match=message):
        unpacked(path)


def test_files_and_folders(tmp_path):
    members = {"a/": b"", "a/b/c.txt": b"c" * 100_000, "é.txt": b"", "a/empty/": b""}
    path = packed(tmp_path / "a.zip", members)
    assert unpacked(path) == {"a/b/c.txt": b"c" * 100_000, "é.txt": b""}
    assert (tmp_path / "a.unpacked" / "a" / "empty").is_dir()


def test_modes_of_a_stranger_are_not_taken(tmp_path):
    info = zipfile.ZipInfo("program")
    info.external_attr = (stat.S_IFREG | stat.S_ISUID | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, b"#!/bin/sh\n")
    unpacked(tmp_path / "a.zip")
    assert stat.S_IMODE((tmp_path / "a.unpacked" / "program").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out", "a\\..\\out", "C:/out", "a//b", "a\x1b"])
def test_names_that_lead_out(name, tmp_path):
    refused(packed(tmp_path / "a.zip", {name: b"x"}), UnsafePathError, "unsafe name")
    assert not list((tmp_path / "a.unpacked").iterdir())


def test_links(tmp_path):
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, b"/etc/passwd")
    refused(tmp_path / "a.zip", UnsafeFileError, "is a link")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_twice(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a", b"1")
        archive.writestr("a", b"2")
    refused(tmp_path / "a.zip", UnsafeFileError, "is there twice")


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a"), ("a", "a/")])
def test_a_file_that_is_a_folder_too(names, tmp_path):
    refused(packed(tmp_path / "a.zip", dict.fromkeys(names, b"")), UnsafeFileError, "a file and a folder")


def test_too_deep(tmp_path):
    refused(packed(tmp_path / "a.zip", {"a/" * 65 + "b": b""}), UnsafeFileError, "lies too deep")


def test_too_many_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "MAXIMAL_MEMBERS", 20)
    refused(packed(tmp_path / "a.zip", {"a/" * 30 + "b": b""}), UnsafeFileError, "too many folders")


def test_another_size_than_it_declares(tmp_path):
    path = packed(tmp_path / "a.zip", {"a": os.urandom(1000)})
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02")
    data[place + 24 : place + 28] = (1 << 20).to_bytes(4, "little")
    path.write_bytes(data)
    refused(path, DamagedFileError, "unpacks to 1000 bytes")


def test_no_room_is_told_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "_ENTRY_BYTES", 1 << 60)
    refused(packed(tmp_path / "a.zip", {"a": b"x"}), StorageError, "set TMPDIR")
    assert not list((tmp_path / "a.unpacked").iterdir())


def test_a_bomb(tmp_path):
    """Declares two gigabytes of what is a few kilobytes."""
    path = packed(tmp_path / "a.zip", {"zeros": bytes(1 << 20)})
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02")
    data[place + 24 : place + 28] = (2 << 30).to_bytes(4, "little")
    path.write_bytes(data)
    refused(path, UnsafeFileError, "far more than is stored")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9])
def test_cut_short(share, tmp_path):
    path = packed(tmp_path / "a.zip", {"a": os.urandom(1000), "b": os.urandom(1000)})
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    refused(path, DamagedFileError, "list of members")


def test_a_changed_byte(tmp_path):
    path = packed(tmp_path / "a.zip", {"a": os.urandom(1000)})
    data = bytearray(path.read_bytes())
    data[500] ^= 1
    path.write_bytes(data)
    refused(path, DamagedFileError, "member 'a'")
