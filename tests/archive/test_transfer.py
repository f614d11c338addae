"""What happens to archives on their way is done to them here, with the real tools, and must be told for what it is."""

import contextlib
import datetime as dt
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver import layout, verify
from archiver.archive import inspection
from archiver.archive.conversions import candidates, undo
from archiver.archive.findings import CAUSES, VerifyReport
from archiver.archive.left_behind import left_behind
from archiver.archive.run import Run
from archiver.cli.main import main
from archiver.errors import StorageError
from archiver.sealing import changing
from archiver.testing import tiny_run
from tests.archive.resealing import edit_journal, rewrite_manifests

MANIFESTS = ("manifest-md5.txt", "manifest-sha256.txt", "manifest-blake3.txt")


@pytest.fixture(scope="module")
def sealed(tmp_path_factory) -> Run:
    run = tiny_run(tmp_path_factory.mktemp("sealed"), tested=True)
    with changing(run):
        (run.path / "files" / "Größe.txt").write_text("five\n", encoding="utf-8")
        (run.path / "files" / "windows.csv").write_bytes(b"a,b\r\n1,2\r\n")
        (run.path / "files" / "blob.bin").write_bytes(os.urandom(10_000))
    return run


@pytest.fixture
def run(sealed, tmp_path) -> Run:
    return Run.open(shutil.copytree(sealed.path, tmp_path / "tiny_models"))


def told(report: VerifyReport) -> list[tuple[str, str, str | None]]:
    return [(finding.code, finding.path, finding.cause) for finding in report.findings]


def only(run: Run) -> tuple[str, str, str | None, str]:
    (finding,) = verify(run.path).findings
    return finding.code, finding.path, finding.cause, finding.message


def text_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and b"\0" not in path.read_bytes()]


def test_every_cause_is_explained():
    assert all(line and "\n" not in line for line in CAUSES.values())


# -- whole, wherever it is


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_another_umask(mask, tmp_path):
    before = os.umask(mask)
    try:
        run = tiny_run(tmp_path)
    finally:
        os.umask(before)
    assert verify(run.path, deep=True).findings == ()


@pytest.mark.parametrize("way", ["cp", "tar", "times", "modes"])
def test_a_copy_is_whole(way, run, tmp_path):
    copy = tmp_path / "elsewhere" / "another name"
    copy.parent.mkdir()
    if way == "cp":
        subprocess.run(["cp", "-r", run.path, copy], check=True)
    elif way == "tar":
        with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
            archive.add(run.path, "another name")
        with tarfile.open(tmp_path / "a.tar.gz") as archive:
            archive.extractall(copy.parent, filter="data")
    else:
        shutil.copytree(run.path, copy)
        for path in copy.rglob("*"):
            if way == "times":
                os.utime(path, (1, 1))
            elif path.is_file():
                path.chmod(0o777)
    report = verify(copy, algorithm="all", deep=True)
    assert (report.findings, report.information, report.seal_id) == ((), (), run.seal_id)


# -- line ends


def git(*arguments, cwd):
    name = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "core.safecrlf=false"]
    subprocess.run(["git", *name, *map(str, arguments)], cwd=cwd, check=True, capture_output=True)


@pytest.fixture
def repository(run) -> Path:
    folder = run.path.parent
    git("init", "-q", cwd=folder)
    git("-c", "core.autocrlf=false", "add", "-A", cwd=folder)
    git("commit", "-q", "-m", "x", cwd=folder)
    return folder


def test_a_checkout_with_autocrlf(repository, run, tmp_path):
    git("clone", "-q", "-c", "core.autocrlf=true", repository, tmp_path / "clone", cwd=tmp_path)
    converted = tmp_path / "clone" / "tiny_models"
    assert b"\r\n" in (converted / "journal.jsonl").read_bytes()
    report = verify(converted, expect=run.seal_id)
    assert {finding.cause for finding in report.findings} == {"crlf"}
    assert len(report.findings) == len({finding.path for finding in report.findings}), "one for each file"
    assert {finding.path for finding in report.findings if finding.code == "manifest"} == set(MANIFESTS)
    assert "journal.jsonl" in {finding.path for finding in report.findings if finding.code == "changed"}
    assert "git autocrlf" in report.findings[0].message


def test_a_checkout_with_the_advised_attribute_is_whole(repository, tmp_path):
    (repository / ".gitattributes").write_text("* -text\n")
    git("add", ".gitattributes", cwd=repository)
    git("commit", "-q", "-m", "y", cwd=repository)
    git("clone", "-q", "-c", "core.autocrlf=true", repository, tmp_path / "clone", cwd=tmp_path)
    assert verify(tmp_path / "clone" / "tiny_models").is_whole


def test_a_tampered_file_among_converted_ones_is_told_apart(run):
    for path in text_files(run.path):
        path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    results = run.path_of(layout.RESULTS)
    results.write_bytes(results.read_bytes().replace(b'"epoch_count": 2', b'"epoch_count": 3'))
    others = [finding for finding in verify(run.path).findings if finding.cause is None]
    assert {(finding.code, finding.path.partition("#")[0]) for finding in others} == {
        ("changed", results.relative_to(run.path).as_posix()),
        ("disagreement", results.relative_to(run.path).as_posix()),
    }


@pytest.mark.parametrize(
    ("convert", "cause", "words"),
    [
        (lambda data: data.replace(b"\n", b"\r\n"), "crlf", "line feeds were turned into CRLF"),
        (lambda data: b"\xef\xbb\xbf" + data, "byte_order_mark", "byte order mark was put before it"),
        (lambda data: b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"), "crlf", "and a byte order mark"),
        (lambda data: data[:-1], "line_feeds", "last line feed"),
        (lambda data: data + b"\n", "line_feeds", "last line feed"),
        (lambda data: data.replace(b"\n", b"\r\n")[:-2], "crlf", "last line feed"),
    ],
)
@pytest.mark.parametrize(
    "file", ["journal.jsonl", "results/tiny_history.json", "results/tiny_metadata.json", "README.md"]
)
def test_converted_text(file, convert, cause, words, run):
    (run.path / file).write_bytes(convert((run.path / file).read_bytes()))
    code, path, found, message = only(run)
    assert (code, path, found) == ("changed", file, cause)
    assert words in message
    assert "turned back, it is what was sealed" in message


def test_crlf_that_became_line_feeds(run):
    (run.path / "files/windows.csv").write_bytes(b"a,b\n1,2\n")
    assert only(run)[:3] == ("changed", "files/windows.csv", "line_feeds")


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_converted_manifest_is_one_finding(name, run):
    (run.path / name).write_bytes((run.path / name).read_bytes().replace(b"\n", b"\r\n"))
    code, path, cause, message = only(run)
    assert (code, path, cause) == ("manifest", name, "crlf")
    assert "each line is whole without it" in message


def test_a_converted_manifest_is_gone_on_with(run):
    for name in MANIFESTS:
        (run.path / name).write_bytes((run.path / name).read_bytes().replace(b"\n", b"\r\n"))
    (run.path / "README.md").unlink()
    (run.path / "new").touch()
    others = {finding[:2] for finding in told(verify(run.path)) if finding[2] is None}
    assert others == {("missing", "README.md"), ("unlisted", "new")}


def test_a_converted_manifest_whose_digests_were_changed(run):
    path = run.path / "manifest-md5.txt"
    data = path.read_bytes().replace(b"\n", b"\r\n")
    path.write_bytes((b"0" if data[:1] != b"0" else b"1") + data[1:])
    assert ("changed", "manifest-md5.txt", None) in told(verify(run.path))


def test_what_was_changed_and_not_converted_has_no_cause(run):
    path = run.path / "README.md"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + b"more\r\n")
    assert only(run)[:3] == ("changed", "README.md", None)


@given(st.binary(max_size=60) | st.just(b"\xef\xbb\xbfa\n"), st.sampled_from(["crlf", "mark", "both", "end"]))
def test_what_was_converted_is_turned_back(data: bytes, way: str) -> None:
    data = data.replace(b"\r", b"")
    made = {
        "crlf": data.replace(b"\n", b"\r\n"),
        "mark": b"\xef\xbb\xbf" + data,
        "both": b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"),
        "end": data + b"\n",
    }[way]
    assert made == data or undo(made, lambda original: original == data) is not None
    assert all(each.original != made or way == "crlf" for each in candidates(made) if each.cause == "crlf")


# -- names


@pytest.mark.parametrize(
    ("rename", "words"),
    [
        (str.lower, "upper and lower case"),
        (lambda name: unicodedata.normalize("NFD", name), "another Unicode form (decomposed"),
        (lambda name: name.replace("ö", "_"), "was renamed to 'files/Gr_ße.txt'"),
    ],
)
def test_a_name_that_was_not_kept(rename: Callable[[str], str], words, run):
    path = run.path / "files" / "Größe.txt"
    path.rename(path.with_name(rename(path.name)))
    code, found, cause, message = only(run)
    assert (code, found, cause) == ("missing", "files/Größe.txt", "renamed")
    assert words in message


def test_a_folder_in_capitals(run):
    (run.path / "results").rename(run.path / "RESULTS")
    found = told(verify(run.path))
    assert {(code, cause) for code, _, cause in found} == {("missing", "renamed")}
    assert all(path.startswith("results/") for _, path, _ in found)


def test_a_moved_file(run):
    (run.path / "models/tiny.h5").rename(run.path / "weights.h5")
    code, path, cause, message = only(run)
    assert (code, path, cause) == ("missing", "models/tiny.h5", "moved")
    assert "is now at 'weights.h5'" in message


def test_a_moved_file_that_was_changed_is_missing_and_unlisted(run):
    (run.path / "models/tiny.h5").rename(run.path / "weights.h5")
    with (run.path / "weights.h5").open("r+b") as file:
        file.write(b"x")
    assert told(verify(run.path)) == [("missing", "models/tiny.h5", None), ("unlisted", "weights.h5", None)]


def test_two_copies_explain_one_missing_file(run):
    path = run.path / "files" / "blob.bin"
    shutil.copy(path, run.path / "a")
    path.rename(run.path / "b")
    assert sorted(finding[0] for finding in told(verify(run.path))) == ["missing", "unlisted"]


# -- what is there of a file


def cut(path: Path, size: int) -> None:
    os.truncate(path, size)


@pytest.mark.parametrize("file", ["models/tiny.keras", "models/tiny.h5", "results/tiny_history.json", "README.html"])
def test_a_file_that_was_cut_short(file, run):
    size = (run.path / file).stat().st_size
    cut(run.path / file, 1000)
    finding = verify(run.path).findings[0]
    assert (finding.code, finding.path, finding.cause) == ("changed", file, "cut_short")
    assert finding.message.startswith(f"is cut short: 1,000 of {size:,} bytes")


@pytest.mark.parametrize("size", [0, 4096, 8192])
def test_a_file_of_any_kind_that_ends_between_two_blocks(size, run):
    cut(run.path / "files/blob.bin", size)
    assert only(run)[:3] == ("changed", "files/blob.bin", "cut_short")


def test_a_file_that_was_edited_is_not_called_cut_short(run):
    cut(run.path / "files/blob.bin", 5000)
    assert only(run)[2] is None
    assert "(5000 bytes now, 10000 then)" in only(run)[3]
    path = run.path / "README.md"
    path.write_bytes(path.read_bytes()[:-100] + b"\n")
    assert all(finding.cause is None for finding in verify(run.path).findings)


@pytest.mark.parametrize("file", ["models/tiny.keras", "results/tiny_results.json", "journal.jsonl"])
def test_zeros_in_place_of_the_end(file, run):
    data = (run.path / file).read_bytes()
    (run.path / file).write_bytes(data[:1500] + bytes(len(data) - 1500))
    finding = verify(run.path).findings[0]
    assert (finding.code, finding.path, finding.cause) == ("changed", file, "zeros")
    count = len(data) - len(data[:1500].rstrip(b"\0"))
    assert f"its last {count:,} of {len(data):,} bytes are zeros" in finding.message


def test_a_file_of_zeros(run):
    path = run.path / "models/tiny.weights.h5"
    path.write_bytes(bytes(path.stat().st_size))
    code, found, cause, message = only(run)
    assert (code, found, cause) == ("changed", "models/tiny.weights.h5", "zeros")
    assert "all of its" in message


def test_a_bit_is_a_change(run):
    for file in ("models/tiny.h5", "models/tiny.keras", "README.md", "journal.jsonl"):
        data = bytearray((run.path / file).read_bytes())
        data[len(data) // 2] ^= 1
        (run.path / file).write_bytes(bytes(data))
    changed = [finding for finding in verify(run.path).findings if finding.code == "changed"]
    assert [finding.cause for finding in changed] == [None] * 4


def test_explaining_ends(run, monkeypatch):
    monkeypatch.setattr(inspection.Inspection, "may_read", lambda self, size: False)
    (run.path / "README.md").write_bytes((run.path / "README.md").read_bytes()[:-1])
    (run.path / "models/tiny.h5").rename(run.path / "weights.h5")
    assert {finding[2] for finding in told(verify(run.path))} == {None}


# -- pointers


def test_a_pointer_of_git_lfs(run):
    path = run.path / "models/tiny.keras"
    lines = dict(line.split("  ")[::-1] for line in (run.path / "manifest-sha256.txt").read_text().splitlines())
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 1\n"
    path.write_text(pointer.format(lines["models/tiny.keras"]))
    assert only(run)[:3] == ("changed", "models/tiny.keras", "pointer")
    assert "`git lfs pull` gets it" in only(run)[3]
    path.write_text(pointer.format("0" * 64))
    assert "of other content than was sealed" in only(run)[3]


def test_a_pointer_and_a_link_of_git_annex(run):
    path = run.path / "models/tiny.keras"
    path.write_text("/annex/objects/SHA256E-s18920--abc.keras\n")
    assert only(run)[2] == "pointer"
    path.unlink()
    path.symlink_to("../../.git/annex/objects/Kj/0Z/SHA256E-s1--abc.keras/SHA256E-s1--abc.keras")
    found = verify(run.path).findings
    assert ("not_a_regular_file", "models/tiny.keras", "pointer") in told(verify(run.path))
    assert "git annex unlock" in found[0].message


def test_a_pointer_of_dvc(run):
    path = run.path / "models/tiny.keras"
    path.unlink()
    (run.path / "models/tiny.keras.dvc").write_text("outs:\n- md5: 0\n  path: tiny.keras\n")
    assert told(verify(run.path)) == [
        ("missing", "models/tiny.keras", "pointer"),
        ("unlisted", "models/tiny.keras.dvc", "left_behind"),
    ]


# -- who may read


@contextlib.contextmanager
def readable_copy(run: Run) -> Iterator[Path]:
    """Where nobody can come, too, unlike to the folders of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(shutil.copytree(run.path, Path(folder, "tiny_models")))


def verify_as_nobody(folder: Path) -> VerifyReport | str:
    """In a child without root's right to read everything."""
    verify(folder)  # all that is imported late is there before the rights are given up
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            report = verify(folder)
            answer = json.dumps({"report": report.as_json()})
        except Exception as error:
            answer = json.dumps({"error": f"{type(error).__name__}: {error}"})
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        answer = json.load(file)
    os.waitpid(child, 0)
    return answer.get("report") or answer["error"]


@pytest.mark.parametrize("file", ["README.md", "journal.jsonl", "results/tiny_results.json", *MANIFESTS])
def test_a_file_without_permission(file, run):
    with readable_copy(run) as folder:
        os.chmod(folder / file, 0o000)
        findings = verify_as_nobody(folder)["findings"]
    assert [(finding["code"], finding["path"], finding["cause"]) for finding in findings] == [
        ("unreadable", file, "no_permission")
    ]
    assert "(mode 0000, owner root: chmod u+r, or ask the owner)" in findings[0]["message"] or os.getuid() != 0
    assert "nothing is known of its content" in findings[0]["message"]


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o111])
@pytest.mark.parametrize("inner", ["models", "traces", "results"])
def test_a_folder_without_permission(inner, mode, run):
    with readable_copy(run) as folder:
        os.chmod(folder / inner, mode)
        findings = verify_as_nobody(folder)["findings"]
        os.chmod(folder / inner, 0o755)
    assert [(finding["code"], finding["path"], finding["cause"]) for finding in findings] == [
        ("unreadable", inner, "no_permission")
    ]


def test_an_archive_without_permission(run):
    with readable_copy(run) as folder:
        os.chmod(folder, 0o000)
        answer = verify_as_nobody(folder)
        os.chmod(folder, 0o755)
    assert answer.startswith(StorageError.__name__)
    assert "no permission; chmod u+rx" in answer


# -- what other programs leave


@pytest.mark.parametrize(
    ("path", "who"),
    [
        (".DS_Store", "macOS Finder"),
        ("models/._tiny.h5", "macOS"),
        ("figures/Thumbs.db", "Windows Explorer"),
        ("desktop.ini", "Windows Explorer"),
        ("environment/source/__pycache__/train.cpython-311.pyc", "Python"),
        ("results/.~lock.tiny.csv#", "an office program"),
        ("README.md~", "an editor"),
        (".README.md.swp", "an editor"),
        ("models/.tiny.h5.a1B2c3", "rsync"),
        ("models/tiny.h5.part", "a transfer that has not ended"),
        (".gitattributes", "version control"),
        (".nfs00000001", "the file system"),
        (".tmp-12-README.md", "archiver"),
    ],
)
def test_who_left_a_file(path, who, run):
    (run.path / path).parent.mkdir(exist_ok=True)
    (run.path / path).write_bytes(b"x")
    code, _, cause, message = only(run)
    assert (code, cause) == ("unlisted", "left_behind")
    assert who in message


def test_a_repository_in_the_archive_is_one_finding(run):
    git("init", "-q", cwd=run.path)
    git("add", "-A", cwd=run.path)
    git("commit", "-q", "-m", "x", cwd=run.path)
    code, path, cause, message = only(run)
    assert (code, path, cause) == ("unlisted", ".git", "left_behind")
    assert "repository of Git" in message


def test_an_empty_folder_that_was_left(run):
    (run.path / "figures" / "__pycache__" / "inner").mkdir(parents=True)
    (run.path / "empty").mkdir()
    assert told(verify(run.path)) == [
        ("unlisted", "empty", None),
        ("unlisted", "figures/__pycache__", "left_behind"),
    ]


def test_a_file_of_nobody_s_kind(run):
    (run.path / ".README.md.a1B2c").touch()
    (run.path / "models" / ".other.a1B2c3").touch()
    assert {finding[2] for finding in told(verify(run.path))} == {None}


@given(st.text(max_size=30))
def test_any_name_can_be_asked_for(name: str) -> None:
    left = left_behind(name, frozenset({name}))
    assert left is None or name.startswith(left.path)


# -- clocks


def shift(run: Run, hours: float, first: int = 0) -> None:
    def edit(events: list[dict[str, str]]) -> None:
        for event in events[first:]:
            time = dt.datetime.fromisoformat(event["utc"]) + dt.timedelta(hours=hours)
            event["utc"] = time.isoformat().replace("+00:00", "Z")

    edit_journal(run.path, edit)


def clocks(run: Run) -> list[str]:
    return [finding.message for finding in verify(run.path).information if finding.code == "clock"]


def test_a_clock_that_is_ahead_is_no_finding(sealed, tmp_path):
    run = tiny_run(tmp_path, sealed=False)
    shift(run, hours=100)
    with changing(run):
        pass
    report = verify(run.path)
    assert report.findings == ()
    (ahead, back) = clocks(run)
    assert "4 days, " in ahead
    assert "one of the two clocks is wrong" in ahead
    assert "the clock went back by 4 days" in back


def test_files_of_tomorrow_are_no_finding(run):
    for path in run.path.rglob("*"):
        os.utime(path, (2**32, 2**32))
    assert verify(run.path).findings == ()
    assert len(clocks(run)) == 1


def test_clocks_a_minute_apart_are_not_told(run):
    shift(run, hours=1 / 60)
    rewrite_manifests(run.path)
    assert clocks(run) == []


# -- the command line


def test_text_and_json_tell_causes(run, capsys):
    for path in text_files(run.path):
        path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(run.path)])
    assert ended.value.code == 1
    out = capsys.readouterr().out
    count = out.count("FINDING")
    assert f"  in short: {count} of {count} findings: line feeds were turned into CRLF" in out
    with pytest.raises(SystemExit):
        main(["verify", "--format", "json", str(run.path)])
    (report,) = json.loads(capsys.readouterr().out)
    assert {finding["cause"] for finding in report["findings"]} == {"crlf"}
