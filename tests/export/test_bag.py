import errno
import os
import shutil
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from archiver import verify
from archiver.archive.run import Run, find_archives
from archiver.catalog import open_store
from archiver.closing import close_unfinished, render_again
from archiver.errors import ArgumentError, NotAnArchiveError, RunStateError, StorageError
from archiver.export import bag as exporting
from archiver.export.bag import export_bag
from archiver.report.report import ReportOptions
from archiver.storage.bagit import parse_info
from archiver.storage.digests import bytes_digests
from archiver.testing import tiny_run
from tests.archive.resealing import rewrite_manifests
from tests.standards.environment import run_program

INSIDE = "data/tiny_models/"


@pytest.fixture
def bag(run: Run, tmp_path: Path) -> Path:
    return export_bag(run, tmp_path / "tiny_bag").path


def found(path: Path, **options) -> list[tuple[str, str]]:
    return [(finding.code, finding.path) for finding in verify(path, **options).findings]


def rewrite(bag: Path, name: str, old: bytes, new: bytes) -> None:
    """Change a tag file, and the tag manifests so that they agree."""
    data = (bag / name).read_bytes()
    assert old in data
    (bag / name).write_bytes(data.replace(old, new))
    for algorithm in ("md5", "sha256"):
        manifest = bag / f"tagmanifest-{algorithm}.txt"
        before, after = (bytes_digests(each, (algorithm,))[algorithm] for each in (data, (bag / name).read_bytes()))
        manifest.write_text(manifest.read_text().replace(before, after))


# -- exporting


def test_other_peoples_validator_accepts_it(run, bag):
    result = run_program("bagit.py", "--validate", bag)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "is valid" in result.stderr
    info = parse_info((bag / "bag-info.txt").read_bytes())[0]
    assert info["external-identifier"] == [run.seal_id]
    assert info["bagging-date"] == [datetime.now(UTC).date().isoformat()]
    sizes = [each.stat().st_size for each in (bag / "data").rglob("*") if each.is_file()]
    assert info["payload-oxum"] == [f"{sum(sizes)}.{len(sizes)}"]


def test_other_peoples_validator_finds_what_we_find(bag):
    victim = bag / INSIDE / "files" / "notes.txt"
    victim.unlink()
    victim.write_text("others")
    result = run_program("bagit.py", "--validate", bag)
    assert result.returncode == 1
    assert ("changed", f"{INSIDE}files/notes.txt") in found(bag)


def test_it_is_verified_as_it_is(run, bag):
    report = verify(bag, algorithm="all", deep=True)
    assert report.is_whole
    assert {finding.code for finding in report.information} == {"hard_link"}
    assert (report.path, report.wrapping, report.seal_id, report.name) == (str(bag), "bag", run.seal_id, "tiny")
    assert report.files_checked == sum(each.is_file() for each in bag.rglob("*"))
    assert report.tensors_checked == verify(run.path, deep=True).tensors_checked > 0


def test_the_payload_is_linked_but_for_what_is_appended_to(run, bag):
    copied = {
        each.relative_to(bag / INSIDE).as_posix()
        for each in (bag / INSIDE).rglob("*")
        if each.is_file() and not each.samefile(run.path / each.relative_to(bag / INSIDE))
    }
    assert copied == {"journal.jsonl", "traces/memory.csv", "traces/steps.csv", "traces/utilisation.csv"}


def test_the_bag_stays_whole_when_the_run_is_changed(run, bag):
    before = run.seal_id
    render_again(run, ReportOptions(figures=False))
    assert run.seal_id != before
    assert verify(run.path).is_whole
    report = verify(bag, algorithm="all")
    assert report.is_whole
    assert report.seal_id == before


def test_files_are_copied_where_there_are_no_links(run, tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(exporting.os, "link", refuse)
    made = export_bag(run, tmp_path / "bag")
    assert (made.linked_count, made.no_links) == (0, os.strerror(errno.EXDEV))
    assert made.copied_count == verify(run.path).files_checked
    assert verify(made.path, algorithm="all").is_whole
    assert not verify(made.path).information


def test_on_another_file_system(run):
    """The real thing, where the machine has one."""
    here = run.path.stat().st_dev
    places = [Path(place) for place in ("/dev/shm", "/var/tmp", "/tmp") if os.access(place, os.W_OK)]
    other = next((place for place in places if place.stat().st_dev != here), None)
    if other is None:
        pytest.skip("needs a second file system")
    folder = other / f"archiver-{os.getpid()}"
    try:
        made = export_bag(run, folder / "bag")
        assert made.linked_count == 0
        assert made.no_links
        assert verify(made.path).is_whole
    finally:
        shutil.rmtree(folder)


def test_what_is_there_is_never_overwritten(run, bag):
    marked = bag / "mine.txt"
    marked.touch()
    with pytest.raises(RunStateError, match="never overwritten"):
        export_bag(run, bag)
    assert marked.exists()
    link = bag.with_name("link")
    link.symlink_to("nowhere")
    with pytest.raises(RunStateError, match="never overwritten"):
        export_bag(run, link)


def test_never_into_the_archive(run):
    with pytest.raises(ArgumentError, match="inside of the archive"):
        export_bag(run, run.path / "files" / "bag")
    assert verify(run.path).is_whole


def test_a_failure_leaves_nothing(run, tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr(exporting, "_write_tags", fail)
    with pytest.raises(StorageError, match="free space"):
        export_bag(run, tmp_path / "bag")
    assert sorted(tmp_path.iterdir()) == before
    assert verify(run.path).is_whole


def test_only_of_a_run_that_is_sealed_and_whole(run, tmp_path):
    with pytest.raises(RunStateError, match="archiver finalize"):
        export_bag(tiny_run(tmp_path / "other", sealed=False), tmp_path / "bag")
    (run.path / "files" / "notes.txt").write_text("others")
    with pytest.raises(RunStateError, match="not as it was sealed"):
        export_bag(run, tmp_path / "bag")
    assert not (tmp_path / "bag").exists()


def test_a_manifest_that_lies_does_not_come_into_a_bag(run, tmp_path):
    """With BLAKE3 alone it would: the digests of a bag are the other two."""
    rewrite_manifests(run.path)
    path = run.path / "manifest-sha256.txt"
    data = path.read_bytes()
    path.write_bytes((b"0" if data[:1] != b"0" else b"1") + data[1:])
    blake3 = run.path / "manifest-blake3.txt"
    before, after = (bytes_digests(each, ("blake3",))["blake3"] for each in (data, path.read_bytes()))
    blake3.write_text(blake3.read_text().replace(before, after))
    with pytest.raises(RunStateError, match="sha256"):
        export_bag(run, tmp_path / "bag")


def test_percent_signs(tmp_path):
    """RFC 8493 encodes percent signs; bagit.py 1.9 does not, so only archiver is asked here."""
    run = tiny_run(tmp_path, sealed=False)
    (run.path / "files" / "50%25 of é.txt").write_text("x")
    close_unfinished(run)
    odd = Run.open(run.path.rename(tmp_path / "100%_models"))
    made = export_bag(odd, tmp_path / "bag")
    lines = (made.path / "manifest-md5.txt").read_text()
    assert "data/100%25_models/files/50%2525 of é.txt\n" in lines
    assert verify(made.path, algorithm="all").is_whole
    for algorithm in ("md5", "sha256"):  # as bagit.py would have written it
        rewrite(made.path, f"manifest-{algorithm}.txt", b"%25", b"%")
    assert verify(made.path, algorithm="all").is_whole


@pytest.mark.parametrize("name", ["a\nb", "a\\b", "\x1b[31m"])
def test_a_folder_that_was_given_an_odd_name_gets_its_own_back(name, run, tmp_path):
    odd = Run.open(run.path.rename(tmp_path / name))
    made = export_bag(odd, tmp_path / "bag")
    assert [each.name for each in (made.path / "data").iterdir()] == ["tiny_models"]
    assert verify(made.path).is_whole


# -- verifying


def test_each_fault_of_a_bag_is_found(bag, tmp_path):
    def faults(change) -> list[tuple[str, str]]:
        copy = Path(shutil.copytree(bag, tmp_path / f"copy-{len(list(tmp_path.iterdir()))}"))
        change(copy)
        return found(copy)

    assert faults(lambda copy: None) == []
    readme = f"{INSIDE}README.md"
    oxum = ("disagreement", "bag-info.txt")
    assert faults(lambda copy: (copy / readme).unlink()) == [("missing", readme), oxum]
    assert faults(lambda copy: (copy / INSIDE / "new").touch()) == [("unlisted", f"{INSIDE}new"), oxum]
    assert faults(lambda copy: (copy / "data" / "beside.txt").touch()) == [oxum, ("unlisted", "data/beside.txt")]
    assert faults(lambda copy: (copy / "fetch.txt").write_text("http://127.0.0.1/x - data/x\n")) == [
        ("unlisted", "fetch.txt")
    ]
    assert faults(lambda copy: (copy / "bag-info.txt").write_text("Note: other\n")) == [("changed", "bag-info.txt")]
    assert faults(lambda copy: (copy / "bagit.txt").write_text("BagIt-Version: 9.9\n")) == [
        ("manifest", "bagit.txt"), ("changed", "bagit.txt"),
    ]  # fmt: skip
    assert faults(lambda copy: (copy / "bag-info.txt").unlink()) == [("missing", "bag-info.txt")]
    assert faults(lambda copy: (copy / "link").symlink_to("/etc/passwd")) == [("not_a_regular_file", "link")]


def test_a_payload_manifest_has_to_say_what_the_archive_says(bag):
    digest = (bag / "manifest-md5.txt").read_bytes()[:32]
    rewrite(bag, "manifest-md5.txt", digest, b"0" * 32)
    ((code, path),) = found(bag)
    assert (code, path) == ("disagreement", f"{INSIDE}README.html")


def test_a_line_left_out_or_added(bag):
    line = next(
        line for line in (bag / "manifest-sha256.txt").read_bytes().splitlines(keepends=True) if b"notes" in line
    )
    rewrite(bag, "manifest-sha256.txt", line, b"")
    assert found(bag) == [("unlisted", f"{INSIDE}files/notes.txt")]
    rewrite(bag, "manifest-md5.txt", b"data/tiny_models/files/notes.txt", b"../../etc/passwd")
    codes = [code for code, _ in found(bag)]
    assert sorted(codes) == ["manifest", "unlisted"]


def test_digests_of_what_no_manifest_of_the_archive_lists(bag):
    """manifest-blake3.txt is in no manifest of the archive that a bag has: it is read."""
    name = b"data/tiny_models/manifest-blake3.txt"
    line = next(line for line in (bag / "manifest-md5.txt").read_bytes().splitlines() if line.endswith(name))
    rewrite(bag, "manifest-md5.txt", line, b"0" * 32 + b"  " + name)
    assert found(bag) == [("changed", name.decode())]


def test_the_seal_id_is_compared(bag):
    rewrite(bag, "bag-info.txt", b"External-Identifier: ", b"External-Identifier: 0")
    assert found(bag) == []  # no longer a seal id
    rewrite(bag, "bag-info.txt", b"External-Identifier: 0", b"External-Identifier: " + b"0" * 64 + b"\nNote: ")
    assert found(bag) == [("disagreement", "bag-info.txt")]


def test_an_unsealed_archive_in_a_bag(run, tmp_path):
    """Made by another program of a run that is not sealed: its bytes are checked against the bag."""
    other = tiny_run(tmp_path / "other", sealed=False)
    run_program("bagit.py", "--sha512", other.path)
    assert (other.path / "data" / "journal.jsonl").exists()
    assert found(other.path) == [("not_sealed", "data")]
    with (other.path / "data" / "files" / "notes.txt").open("a") as file:
        file.write("more")
    assert ("changed", "data/files/notes.txt") in found(other.path)


def test_bags_of_bagit_py(run):
    """In its own way it makes the run's folder itself the payload."""
    assert run_program("bagit.py", "--md5", "--sha256", "--source-organization", "Example", run.path).returncode == 0
    report = verify(run.path)
    assert report.is_whole
    assert report.wrapping == "bag"


def test_a_bag_without_a_run(tmp_path):
    folder = tmp_path / "bag"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "a.txt").write_text("x")
    (folder / "bagit.txt").write_text("BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
    with pytest.raises(NotAnArchiveError, match="a bag without a run"):
        verify(folder)
    shutil.rmtree(folder / "data")
    (folder / "data").symlink_to("/")
    with pytest.raises(NotAnArchiveError, match="a bag without a run"):
        verify(folder)


def test_a_bag_of_several_runs(bag, tmp_path):
    tiny_run(bag / "data", "second")
    with pytest.raises(NotAnArchiveError, match="a bag of 2 runs"):
        verify(bag)


def test_a_bag_stands_for_its_run_in_a_folder(run, bag, tmp_path):
    assert find_archives(tmp_path) == [bag, run.path]
    assert open_store(tmp_path, refreshed=False).refresh().run_count == 1
    with pytest.raises(NotAnArchiveError, match="a bag"):
        Run.open(bag)


def test_what_an_interrupted_export_leaves_is_no_run(run, bag, tmp_path):
    bag.rename(tmp_path / ".tmp-1-tiny_bag")
    assert find_archives(tmp_path) == [run.path]


def test_a_bag_in_a_zip_file(bag, tmp_path):
    with zipfile.ZipFile(tmp_path / "bag.zip", "w") as archive:
        for path in sorted(bag.rglob("*")):
            archive.write(path, path.relative_to(tmp_path))
    assert verify(tmp_path / "bag.zip", algorithm="all").is_whole
    (bag / INSIDE / "new").touch()
    (bag / "fetch.txt").touch()
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        for path in sorted(bag.rglob("*")):
            archive.write(path, path.relative_to(tmp_path))
    assert found(tmp_path / "bad.zip") == [
        ("unlisted", f"tiny_bag/{INSIDE}new"),
        ("unlisted", "tiny_bag/fetch.txt"),
        ("disagreement", "tiny_bag/bag-info.txt"),
    ]
