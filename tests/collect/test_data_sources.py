"""Files and folders that data came from: what is recorded is what coreutils and Pillow say of them."""

import contextlib
import hashlib
import os
import subprocess
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archiver.collect.data_formats import data_format
from archiver.collect.data_paths import MAXIMAL_PATHS, named_paths
from archiver.collect.data_sources import describe_paths
from archiver.collect.folder_listing import Tally, walk
from archiver.collect.reading_limits import Limits
from archiver.records.base import Unavailable

MANIFEST = r"find . -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 -r sha256sum -- | sha256sum"
LISTING = r"find . -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 -r stat --printf '%s  %n\n' -- | sha256sum"


def shell(command: str, folder: Path) -> str:
    """What a reviewer would type."""
    return subprocess.run(command, shell=True, cwd=folder, check=True, capture_output=True, text=True).stdout[:64]


def describe(source, limits=None):
    return describe_paths(named_paths(source), limits or Limits())


def one(source, limits=None):
    (part,) = describe(source, limits)
    return part


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    names = ["b.csv", "a/1.csv", "a/2.CSV", "a.txt", "a-b", ".hidden", "-dash", "ü/é.csv", "ü/日本.json", "line\nbreak",
             "carriage\rreturn", "back\\slash", "two  spaces", "a/deep/er/x"]  # fmt: skip
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * number)
    (root / os.fsdecode(b"not\xfftext")).write_bytes(b"x")
    (root / "empty folder").mkdir()
    return root


def test_the_digests_are_those_of_coreutils(folder):
    part = one(folder)
    assert part.manifest_sha256 == shell(MANIFEST, folder)
    assert part.listing_sha256 == shell(LISTING, folder)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.text(st.sampled_from("ab./-_ \\\né"), min_size=1, max_size=8), max_size=8))
def test_the_digests_are_those_of_coreutils_whatever_the_names(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("names")
    for name in names:
        path = Path(os.path.normpath(folder / name.lstrip("/")))
        # coreutils take `-` for their standard input
        if folder in path.parents and path != folder / "-":
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(name)
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                continue
    part = one(folder)
    assert part.manifest_sha256 == shell(MANIFEST, folder)
    assert part.listing_sha256 == shell(LISTING, folder)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert (part.file_count, part.total_bytes) == (len(files), sum(path.stat().st_size for path in files))


def test_the_walk_is_in_the_order_of_the_paths_bytes(folder):
    paths = [file.path for file in walk(os.fsencode(folder), Tally(), Limits())]
    assert paths == sorted(paths)
    expected = {os.fsencode(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert set(paths) == expected


def test_counts_suffixes_and_times(folder):
    os.utime(folder / "b.csv", (1_000_000_000, 1_000_000_000))
    os.utime(folder / "a.txt", (4_000_000_000, 4_000_000_000))
    part = one(folder)
    assert part.listing == "complete"
    assert (part.file_count, part.folder_count) == (15, 5)
    assert list(part.suffixes)[:2] == ["(none)", ".csv"]
    assert part.suffixes[".csv"].file_count == 4
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.suffix.lower() == ".csv"]
    assert part.suffixes[".csv"].total_bytes == sum(sizes)
    assert part.oldest_modified == datetime.fromtimestamp(1_000_000_000, UTC)
    assert part.newest_modified == datetime.fromtimestamp(4_000_000_000, UTC)
    assert part.images is None


def test_an_empty_folder(tmp_path):
    part = one(tmp_path)
    assert (part.file_count, part.total_bytes, part.suffixes) == (0, 0, {})
    assert part.manifest_sha256 == hashlib.sha256(b"").hexdigest()
    assert isinstance(part.newest_modified, Unavailable)


def test_the_content_digest_sees_a_change_that_the_listing_does_not(folder):
    before = one(folder)
    path = folder / "b.csv"
    path.write_bytes(b"c" * path.stat().st_size)
    (folder / "a.txt").write_bytes(b"c" * (folder / "a.txt").stat().st_size)
    after = one(folder)
    assert before.listing_sha256 == after.listing_sha256
    assert before.manifest_sha256 != after.manifest_sha256


def test_links_special_files_and_loops(tmp_path):
    folder, outside = tmp_path / "data", tmp_path / "outside"
    for each in (folder / "sub", outside):
        each.mkdir(parents=True)
    (outside / "secret.csv").write_text("not ours")
    (folder / "a.csv").write_text("ours")
    (folder / "sub" / "loop").symlink_to(folder)
    (folder / "to file").symlink_to(outside / "secret.csv")
    (folder / "to folder").symlink_to(outside)
    (folder / "to nothing").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    part = one(folder)
    assert (part.file_count, part.link_count, part.special_count) == (1, 4, 1)
    assert part.manifest_sha256 == shell(MANIFEST, folder)
    through = tmp_path / "link"
    through.symlink_to(folder)
    again = one(through)
    assert (again.path, again.resolves_to) == (str(through), str(folder))
    assert again.manifest_sha256 == part.manifest_sha256
    assert one(folder / "pipe").reason == "is neither a file nor a folder"
    dangling = one(folder / "to nothing")
    assert (dangling.kind, dangling.exists) == ("not_described", True)


@contextlib.contextmanager
def as_nobody():
    """Root reads everything; for the body, this process is not root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_what_is_not_permitted(tmp_path):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for path in ("a.csv", "b.csv", "c/d.csv", "e/f.csv"):
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(path)
        (folder / "b.csv").chmod(0)
        (folder / "c").chmod(0)
        with as_nobody():
            part = one(folder)
            closed, file = one(folder / "c"), one(folder / "b.csv")
        (folder / "c").chmod(0o755)
    assert (part.file_count, part.unreadable_count) == (3, 2)
    assert {(fault.path, fault.reason) for fault in part.unreadable} == {
        ("b.csv", "Permission denied"),
        ("c", "Permission denied"),
    }
    lines = [f"{hashlib.sha256(path.encode()).hexdigest()}  {path}\n" for path in ("a.csv", "e/f.csv")]
    assert part.manifest_sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert (closed.kind, closed.exists, closed.reason) == ("not_described", True, "Permission denied")
    assert (file.kind, file.exists, file.reason) == ("not_described", True, "Permission denied")


def test_a_file_that_is_gone_when_it_is_read(folder, monkeypatch):
    from archiver.collect import data_folders

    real = data_folders.open_regular

    def vanishing(path):
        if path.endswith(b"b.csv"):
            os.unlink(path)
        return real(path)

    monkeypatch.setattr(data_folders, "open_regular", vanishing)
    part = one(folder)
    assert [(fault.path, fault.reason) for fault in part.unreadable] == [("b.csv", "No such file or directory")]
    assert part.manifest_sha256 == Unavailable(unavailable="the folder was changed while it was read")


def test_a_folder_that_changes_while_it_is_read_has_no_content_digest(folder, monkeypatch):
    from archiver.collect import data_folders

    real = data_folders.open_regular

    def growing(path):
        (folder / "zzz").write_text("new")
        return real(path)

    monkeypatch.setattr(data_folders, "open_regular", growing)
    part = one(folder)
    assert part.manifest_sha256 == Unavailable(unavailable="the folder was changed while it was read")
    assert len(part.listing_sha256) == 64


def test_a_file(tmp_path):
    path = tmp_path / "märz.csv"
    path.write_bytes(b"a,b\n1,2\n" * 400_000)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    part = one(str(path))
    assert (part.kind, part.name, part.path, part.format) == ("file", "", str(path), "csv")
    assert part.size_bytes == 3_200_000
    assert part.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert part.modified == datetime.fromtimestamp(1_700_000_000, UTC)


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("a.csv", b"x,y\n", "csv"), ("a.CSV", b"", "csv"), ("a.npy", b"\x93NUMPY\x01", "npy"),
        ("a", b"\x93NUMPY", "npy"),
        ("a.npz", b"PK\x03\x04", "npz"), ("a.zip", b"PK\x03\x04", "zip"), ("a.h5", b"\x89HDF\r\n\x1a\n", "hdf5"),
        ("a.mat", b"\x89HDF\r\n\x1a\n", "hdf5"), ("a.bin", b"PAR1", "parquet"), ("a.tfrecord", b"\x10\0", "tfrecord"),
        ("a.gz", b"\x1f\x8b\x08", "gzip"), ("a.wav", b"RIFF\0\0\0\0WAVEfmt ", "wav"), ("a.dat", b"\0", "unknown"),
        ("a.csv", b"\x89PNG\r\n\x1a\n", "png"), ("a", bytes(257) + b"ustar", "tar"), ("noname", b"", "unknown"),
    ],
)  # fmt: skip
def test_formats(name, head, expected):
    assert data_format(name, head) == expected


def test_splits_lists_and_what_is_no_path(folder, monkeypatch):
    monkeypatch.chdir(folder)
    source = {
        "train": "a",
        "valid/ation": Path("b.csv"),
        "more": ["a.txt", "https://host.example/a.txt", "s3://bucket/a", "doi:10.1/2", "no such thing", "line\nbreak"],
        "again": str(folder / "a"),
        "count": 3,
        "password": "b.csv",
    }
    parts = describe(source)
    assert [(part.kind, part.name, part.path) for part in parts] == [
        ("folder", "/train", str(folder / "a")),
        ("file", "/valid~1ation", str(folder / "b.csv")),
        ("file", "/more/0", str(folder / "a.txt")),
        ("folder", "/again", str(folder / "a")),
    ]


def test_paths_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for source in (Path("gone"), "./gone", str(tmp_path / "gone"), "~/gone-as-well"):
        part = one(source)
        assert (part.kind, part.exists, part.reason) == ("not_described", False, "No such file or directory")
    for source in ("mnist", "owner/name", "made up", "", None, 7):
        assert describe(source) == ()


def test_the_home_folder_and_secrets_are_hidden(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    token = "ghp_" + "a" * 36
    (tmp_path / f"{token}.csv").write_text("x")
    part = one(f"~/{token}.csv")
    assert part.path == "~/[redacted].csv"
    folder = one(tmp_path)
    assert folder.path == "~"
    assert token not in folder.model_dump_json()


def test_the_same_place_is_read_once(folder, monkeypatch):
    from archiver.collect import data_sources

    calls = []
    real = data_sources.describe_folder
    monkeypatch.setattr(data_sources, "describe_folder", lambda *a: calls.append(1) or real(*a))
    assert len(describe([folder, folder, str(folder)])) == 3
    assert len(calls) == 1


def test_too_many_paths(tmp_path):
    path = tmp_path / "a"
    path.write_text("a")
    parts = describe([path] * (MAXIMAL_PATHS + 5))
    assert len(parts) == MAXIMAL_PATHS + 1
    assert (parts[-1].kind, parts[-1].name) == ("not_described", f"/{MAXIMAL_PATHS}")


def test_caps_leave_the_listing_digest_and_say_why(folder):
    whole = one(folder)
    part = one(folder, Limits(hashed_files=14))
    assert part.manifest_sha256.unavailable == "15 files are more than are read (14 left)"
    assert part.listing_sha256 == whole.listing_sha256
    part = one(folder, Limits(hashed_bytes=10))
    assert "bytes are more than are read (10 left)" in part.manifest_sha256.unavailable
    few, rest = describe([folder / "a", folder], Limits(hashed_files=10))
    assert len(few.manifest_sha256) == 64
    assert "more than are read (7 left)" in rest.manifest_sha256.unavailable, "the limit is one for all sources"
    part = one(folder, Limits(listed_files=3))
    assert part.listing.unavailable == "there are more files than are listed"
    assert part.listing_sha256 == part.manifest_sha256 == part.listing
    part = one(folder / "b.csv", Limits(hashed_files=0))
    assert isinstance(part.sha256, Unavailable)


def test_no_time_left(folder):
    part = one(folder, Limits(seconds=0))
    assert part.listing.unavailable == "not everything could be read in 0 s"


def test_it_stops_in_the_middle_of_a_large_file(tmp_path):
    with (tmp_path / "large.bin").open("wb") as file:
        file.truncate(20 << 30)
    (tmp_path / "a.csv").write_text("a")
    stop = threading.Event()
    found = []
    thread = threading.Thread(target=lambda: found.append(one(tmp_path, Limits(stop))))
    thread.start()
    time.sleep(0.3)
    stop.set()
    thread.join(5)
    assert not thread.is_alive()
    (part,) = found
    assert part.file_count == 2
    assert part.manifest_sha256.unavailable == "the training ended before everything was read (1 of 2 files were)"
    assert part.listing_sha256 == shell(LISTING, tmp_path)
