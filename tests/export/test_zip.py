import os
import shutil
import stat
import subprocess
import tempfile
import zipfile
from pathlib import Path

import pytest

from archiver import verify
from archiver.archive.run import Run
from archiver.closing import close_unfinished
from archiver.errors import DamagedFileError, NotAnArchiveError, RunStateError, UnsafeFileError
from archiver.export.zipped import export_zip
from archiver.testing import tiny_run


def found(path: Path, **options) -> list[tuple[str, str]]:
    return [(finding.code, finding.path) for finding in verify(path, **options).findings]


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path_factory, monkeypatch):
    """Whatever becomes of it, the temporary folder is empty afterwards."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    assert not list(folder.iterdir())


def test_the_same_bytes_whenever_it_is_made(run, tmp_path):
    first = export_zip(run, tmp_path / "first.zip")
    copy = Run.open(shutil.copytree(run.path, tmp_path / "elsewhere" / run.path.name, copy_function=shutil.copyfile))
    for path in copy.path.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    assert export_zip(copy, tmp_path / "second.zip").read_bytes() == first.read_bytes()


def test_other_peoples_programs_read_it(run, tmp_path):
    path = export_zip(run, tmp_path / "tiny.zip")
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
    assert names == sorted(names, key=str.encode)
    assert {name.split("/")[0] for name in names} == {"tiny_models"}
    if shutil.which("unzip"):
        assert subprocess.run(["unzip", "-tqq", path], check=False).returncode == 0
        subprocess.run(["unzip", "-qq", path, "-d", tmp_path / "out"], check=True)
        assert verify(tmp_path / "out" / "tiny_models", algorithm="all").is_whole


def test_it_is_verified_as_it_is(run, tmp_path):
    path = export_zip(run, tmp_path / "tiny.zip")
    report = verify(path, algorithm="all", deep=True)
    assert report.is_whole
    assert (report.path, report.wrapping, report.seal_id) == (str(path), "zip", run.seal_id)
    assert report.tensors_checked == verify(run.path, deep=True).tensors_checked


def test_names_that_are_not_ascii(tmp_path):
    run = tiny_run(tmp_path, sealed=False)
    (run.path / "files" / "größe ☃.txt").write_text("x")
    close_unfinished(run)
    path = export_zip(run, tmp_path / "tiny.zip")
    with zipfile.ZipFile(path) as archive:
        assert "tiny_models/files/größe ☃.txt" in archive.namelist()
    assert verify(path).is_whole


def test_only_of_a_run_that_is_sealed_and_whole(run, tmp_path):
    (run.path / "new").touch()
    with pytest.raises(RunStateError, match="not as it was sealed"):
        export_zip(run, tmp_path / "tiny.zip")
    assert not (tmp_path / "tiny.zip").exists()


def test_what_is_there_is_never_overwritten(run, tmp_path):
    (tmp_path / "tiny.zip").write_text("mine")
    with pytest.raises(RunStateError, match="never overwritten"):
        export_zip(run, tmp_path / "tiny.zip")
    assert (tmp_path / "tiny.zip").read_text() == "mine"
    assert not list(tmp_path.glob(".tmp-*"))


# -- zip files of others


def packed(folder: Path, path: Path, base: Path, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """With folders, and times and modes as they are."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for each in [folder, *sorted(folder.rglob("*"))]:
            if each != base:
                archive.write(each, each.relative_to(base))
    return path


def test_zip_files_of_others(run, tmp_path):
    assert verify(packed(run.path, tmp_path / "a.zip", tmp_path)).is_whole
    assert verify(packed(run.path, tmp_path / "b", run.path)).is_whole  # without a top folder, and without a suffix
    assert verify(packed(run.path, tmp_path / "c.zip", tmp_path.parent)).is_whole  # below two folders


@pytest.mark.skipif(shutil.which("zip") is None, reason="needs the program zip")
@pytest.mark.parametrize("options", ["-qr", "-qr0", "-qrD"])
def test_zip_files_of_info_zip(options, run, tmp_path):
    subprocess.run(["zip", options, "a.zip", "tiny_models"], cwd=tmp_path, check=True)
    assert verify(tmp_path / "a.zip", algorithm="all").is_whole


def test_findings_name_paths_in_the_zip(run, tmp_path):
    (run.path / "files" / "notes.txt").write_text("others")
    (run.path / "empty").mkdir()
    (run.path / "README.md").unlink()
    path = packed(run.path, tmp_path / "a.zip", tmp_path)
    assert found(path) == [
        ("unlisted", "tiny_models/empty"),
        ("missing", "tiny_models/README.md"),
        ("changed", "tiny_models/files/notes.txt"),
    ]
    flat = packed(run.path, tmp_path / "b.zip", run.path)
    assert ("changed", "files/notes.txt") in found(flat)
    assert "/temporary" not in "".join(finding.message for finding in verify(path).findings)


def test_an_unsealed_run(tmp_path):
    run = tiny_run(tmp_path, sealed=False)
    path = packed(run.path, tmp_path / "a.zip", tmp_path)
    assert found(path) == [("not_sealed", "tiny_models")]


def test_a_zip_without_a_run_or_with_several(run, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", b"x")
    with pytest.raises(NotAnArchiveError, match="a zip file without a run"):
        verify(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "empty", "w"):
        pass
    with pytest.raises(NotAnArchiveError, match="a zip file without a run"):
        verify(tmp_path / "empty")
    store = tmp_path / "store"
    for name in ("one", "two"):
        tiny_run(store, name)
    with pytest.raises(NotAnArchiveError, match=r"a zip file of 2 runs \(one_models, two_models\)"):
        verify(packed(store, tmp_path / "b.zip", tmp_path))


def test_what_only_looks_like_a_zip(tmp_path):
    (tmp_path / "a.zip").write_text("no zip")
    (tmp_path / "b").write_bytes(b"PK\x03\x04" + bytes(100))
    for name in ("a.zip", "b"):
        with pytest.raises(DamagedFileError, match="list of members"):
            verify(tmp_path / name)


def test_a_link_in_a_zip(run, tmp_path):
    path = packed(run.path, tmp_path / "a.zip", tmp_path)
    info = zipfile.ZipInfo("tiny_models/link")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(info, b"/etc/passwd")
    with pytest.raises(UnsafeFileError, match="is a link"):
        verify(path)


def test_a_changed_byte_anywhere_is_found(run, tmp_path):
    path = export_zip(run, tmp_path / "tiny.zip")
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("tiny_models/models/tiny.h5")
    place = info.header_offset + info.file_size // 2
    path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    with pytest.raises(DamagedFileError, match=r"tiny\.h5"):
        verify(path)
