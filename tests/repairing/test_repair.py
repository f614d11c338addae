"""`archiver repair` of archives that no training made: what it does with each file, and what it never does."""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import archiver
from archiver import layout
from archiver.archive.run import Run
from archiver.archive.verifying import verify
from archiver.errors import NotAnArchiveError, RunStateError
from archiver.repairing import repair
from archiver.repairing.bits import flipped_back
from archiver.repairing.zip_files import with_shared_numbers
from archiver.storage.digests import bytes_digests
from archiver.storage.manifests import MANIFEST_NAMES
from archiver.testing import tiny_run
from tests.property.campaigns import campaign
from tests.property.faults import WAYS, Subject
from tests.repairing.campaigning import contents, flip, is_as_it_was, overwrite, repaired, tensors_of

PROGRAM = str(Path(sys.executable).parent / "archiver")


def restored(original, copy, *names):
    report, target = repaired(copy)
    assert report.is_whole, ([outcome.describe() for outcome in report.outcomes], report.findings)
    assert report.paths("restored") == sorted(names)
    assert report.seal_id == report.original_seal_id == original.seal_id
    assert is_as_it_was(original, target)
    return report


# -- manifests


@pytest.mark.parametrize("name", MANIFEST_NAMES.values())
@pytest.mark.parametrize("damage", ["gone", "emptied", "cut", "digit", "path", "noise"])
def test_a_manifest_follows_from_the_files(name, damage, tiny, damaged):
    copy = damaged(tiny)
    path = copy.path / name
    data = path.read_bytes()
    line = data.index(b"README.md")
    other_digit = b"1" if data[line - 5 : line - 4] == b"0" else b"0"
    changes = {
        "emptied": b"", "cut": data[:500], "digit": data[: line - 5] + other_digit + data[line - 4 :],
        "path": data[: line + 3] + b"x" + data[line + 4 :], "noise": random.Random(0).randbytes(len(data)),
    }  # fmt: skip
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(changes[damage])
    report = restored(tiny, copy, name)
    assert "made anew from the digests of the files; manifest-" in report.outcomes[0].how


def test_two_manifests_and_a_file(tiny, damaged):
    copy = damaged(tiny)
    (copy.path / "manifest-md5.txt").unlink()
    (copy.path / "manifest-blake3.txt").write_bytes(b"gone")
    flip(copy.path / "traces" / "steps.csv", 77)
    restored(tiny, copy, "manifest-md5.txt", "manifest-blake3.txt", "traces/steps.csv")


def test_a_manifest_beside_a_file_that_stays_broken(tiny, damaged):
    copy = damaged(tiny)
    (copy.path / "manifest-md5.txt").unlink()  # the metadata have these digests too
    (copy.path / "files" / "notes.txt").write_bytes(b"other notes, longer than they were")
    report, _ = repaired(copy)
    assert (report.paths("restored"), report.paths("not_repaired")) == (["manifest-md5.txt"], ["files/notes.txt"])
    assert report.seal_id == report.original_seal_id == tiny.seal_id
    assert {finding.path for finding in report.findings} == {"files/notes.txt"}


def test_a_digest_that_stood_in_a_manifest_alone_is_lost_with_it(tiny, damaged):
    copy = damaged(tiny)
    (copy.path / "manifest-sha256.txt").unlink()
    (copy.path / "files" / "notes.txt").write_bytes(b"other notes, longer than they were")
    report, _ = repaired(copy)
    assert report.output is None
    assert report.paths("not_repaired") == ["files/notes.txt", "manifest-sha256.txt"]


def test_a_seal_that_nothing_confirms_is_not_made_up(tiny, damaged):
    copy = damaged(tiny)
    for name in MANIFEST_NAMES.values():
        data = (copy.path / name).read_bytes()
        line = data.index(b"traces/steps.csv")
        (copy.path / name).write_bytes(data[: line - 5] + b"0" + data[line - 4 :])
    (copy.path / "README.md").unlink()
    report, _ = repaired(copy)
    assert not report.is_whole
    assert report.original_seal_id is None


# -- files of other kinds


def test_what_follows_from_other_files(tiny, damaged):
    copy = damaged(tiny)
    names = [layout.HISTORY.path(copy.name), "schemas/git.schema.json", "README.md", "README.html"]
    for name in names:
        (copy.path / name).unlink()
    report = restored(tiny, copy, *names)
    how = {outcome.path: outcome.how for outcome in report.outcomes}
    assert how[names[0]] == "made anew from journal.jsonl"
    assert "this version of archiver" in how[names[1]]
    assert "report made anew" in how[names[2]]


def test_results_of_a_run_that_was_not_tested(tmp_path):
    original = tiny_run(tmp_path)
    copy = Run.open(shutil.copytree(original.path, tmp_path / "copy" / original.path.name))
    copy.path_of(layout.RESULTS).write_text("{}")
    restored(original, copy, layout.RESULTS.path(copy.name))


def test_the_list_of_files_in_the_metadata(tiny, damaged):
    copy = damaged(tiny)
    path = copy.path_of(layout.METADATA)
    overwrite(path, 3000, b"#" * 500)
    restored(tiny, copy, layout.METADATA.path(copy.name))


@pytest.mark.parametrize(
    ("change", "how"),
    [
        (lambda data: data.replace(b"\n", b"\r\n"), "CR LF turned back into LF"),
        (lambda data: b"\xef\xbb\xbf" + data, "without a byte order mark"),
        (lambda data: data + b"\0" * 4096, "what was appended is cut off"),
        (lambda data: data[:-1], "the last characters written again"),
    ],
)
def test_texts_that_another_program_wrote(change, how, tiny, damaged):
    copy = damaged(tiny)
    path = copy.path / "environment" / "packages.json"
    path.write_bytes(change(path.read_bytes()))
    report = restored(tiny, copy, "environment/packages.json")
    assert report.outcomes[0].how == how


def test_a_file_under_another_name_is_taken_from_there(tiny, damaged):
    copy = damaged(tiny)
    (copy.path / "environment" / "git.json").rename(copy.path / "git.json.bak")
    report, target = repaired(copy)
    assert report.is_whole
    assert report.paths("left_out") == ["git.json.bak"]
    assert is_as_it_was(tiny, target)


def test_files_that_changed_places(tiny, damaged):
    copy = damaged(tiny)
    one, two = (copy.path / "environment" / name for name in ("git.json", "system.json"))
    data = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(data)
    restored(tiny, copy, "environment/git.json", "environment/system.json")


def test_one_bit_of_anything_small(tiny, damaged):
    copy = damaged(tiny)
    names = ["files/notes.txt", "journal.jsonl", "traces/memory.csv", "manifest-blake3.previous",
             layout.CHECKPOINT_STATE.path(copy.name)]  # fmt: skip
    for place, name in enumerate(names):
        flip(copy.path / name, 8 * 20 + place)
    restored(tiny, copy, *names)


def test_a_bit_in_a_long_text_is_looked_for_where_it_does_not_look_like_one():
    data = json.dumps({"values": list(range(60_000))}).encode()
    digests = bytes_digests(data, ["blake3"])
    for position in (100_000, len(data) - 20):
        for bit in (7, 4) if data[position : position + 1].isdigit() else (7,):
            changed = bytearray(data)
            changed[position] ^= 1 << bit
            if flipped_back(bytes(changed), "a.json", "blake3", digests["blake3"]) != data:
                assert bit == 4
                json.loads(changed.decode("latin-1"))


def test_numbers_of_shared_objects_stay():
    text = '{"a": {"b": null, "shared_object_id": 123}, "c": {"d": 1, "shared_object_id": 45}}'
    known = '{"a": {"b": null}, "c": {"d": 1}}'
    assert with_shared_numbers(known, text) == text
    assert with_shared_numbers(known, text.replace("null", "n#ll")) == text


def test_what_nothing_can_reproduce_is_said(tiny, damaged):
    copy = damaged(tiny)
    (copy.path / "files" / "notes.txt").write_bytes(b"other notes, longer than they were")
    report, _ = repaired(copy)
    (outcome,) = report.outcomes
    assert (report.output, outcome.what) == (None, "not_repaired")
    assert outcome.how == "nothing else in the archive tells what was in it"
    assert {finding.path.partition("#")[0] for finding in report.findings} == {"files/notes.txt"}


def test_the_rest_is_repaired_all_the_same(tiny, damaged):
    copy = damaged(tiny)
    (copy.path / "files" / "notes.txt").write_bytes(b"other notes, longer than they were")
    (copy.path / "README.md").unlink()
    report, target = repaired(copy)
    assert not report.is_whole
    assert report.paths("restored") == ["README.md"]
    assert {finding.path for finding in report.findings} == {"files/notes.txt"}
    assert (target / "files" / "notes.txt").read_bytes() == b"other notes, longer than they were"


# -- what is refused, and what is never copied


def test_links_and_what_no_manifest_lists_are_left_out(tiny, damaged, tmp_path):
    copy = damaged(tiny)
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (copy.path / "link").symlink_to(secret)
    (copy.path / "files" / "more").mkdir()
    (copy.path / "files" / "more" / "new").write_text("new")
    os.mkfifo(copy.path / "pipe")
    readme = copy.path / "README.md"
    readme.unlink()
    readme.symlink_to(secret)
    (copy.path / os.fsdecode(b"\xff")).touch()
    report = repair(copy.path, tmp_path / "new")
    assert report.is_whole
    assert report.paths("left_out") == sorted(["link", "files/more/new", "pipe", os.fsdecode(b"\xff")])
    assert is_as_it_was(tiny, tmp_path / "new")
    assert all(outcome.describe().isprintable() for outcome in report.outcomes)


def test_a_manifest_that_leads_out_of_the_folder(tiny, damaged, tmp_path):
    copy = damaged(tiny)
    (tmp_path / "outside").write_text("outside")
    for algorithm, name in MANIFEST_NAMES.items():
        digest = bytes_digests(b"outside", [algorithm])[algorithm]
        data = (copy.path / name).read_bytes()
        (copy.path / name).write_bytes(f"{digest}  ../outside\n".encode() + data)
    report, _ = repaired(copy)
    assert not any(".." in outcome.path for outcome in report.outcomes)


def test_a_zip_that_would_fill_the_disk(tiny, damaged):
    """Members that lie over each other are not written out one by one."""
    copy = damaged(tiny)
    path = copy.path_of(layout.PREDICTIONS)
    with zipfile.ZipFile(path) as archive:
        begin = archive.start_dir
    data = path.read_bytes()
    entry = data[begin : data.index(b"PK\x05\x06")]
    entries = entry * 2_000
    end = data[data.index(b"PK\x05\x06") :][:12] + len(entries).to_bytes(4, "little") + begin.to_bytes(4, "little")
    path.write_bytes(data[:begin] + entries + end + b"\0\0")
    report, _ = repaired(copy)
    assert [outcome.path for outcome in report.outcomes] == [layout.PREDICTIONS.path(copy.name)]


def test_what_is_refused(tiny, damaged, tmp_path):
    with pytest.raises(NotAnArchiveError):
        repair(tmp_path / "nowhere", tmp_path / "new")
    with pytest.raises(RunStateError, match="is whole: there is nothing to repair"):
        repair(tiny.path, tmp_path / "new")
    copy = damaged(tiny)
    (copy.path / "README.md").unlink()
    (tmp_path / "there").mkdir()
    for output in (tmp_path / "there", copy.path / "inside", copy.path):
        with pytest.raises(RunStateError, match="Received output"):
            repair(copy.path, output)
    with pytest.raises(RunStateError, match="is not sealed"):
        repair(tiny_run(tmp_path, "open", sealed=False).path, tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["open_models", "there", copy.path.name]


# -- the law


@pytest.mark.stress
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_whole_means_the_tensors_that_were_sealed(way, tiny, tmp_path_factory):
    """Whatever the damage: the damaged archive stays as it is, and a new one that is whole has what the old one had."""
    older = tiny_run(tmp_path_factory.mktemp("older"), tested=True).path
    before, tensors, original = contents(older), tensors_of(tiny), contents(tiny.path)

    @settings(
        max_examples=campaign(1, 200),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture],
    )
    @given(data=st.data())
    def try_it(data):
        with tempfile.TemporaryDirectory() as folder:
            subject = Subject(Path(shutil.copytree(tiny.path, Path(folder, "run"))), before, Path(folder))
            damage = way(subject, data.draw)
            target = Path(folder, "new")
            try:
                report = repair(subject.folder, target)
            except (NotAnArchiveError, RunStateError):
                report = None
            if report is None:
                assert not target.exists()
                return
            assert not verify(subject.folder).is_whole, damage
            if report.is_whole:
                assert verify(target, algorithm="all", deep=True).is_whole
                assert tensors_of(Run.open(target)) == tensors, damage
                assert report.paths("rebuilt") or contents(target) == original, damage

    try_it()


@pytest.mark.stress
@settings(max_examples=campaign(6, 2000), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_one_fault_in_a_model_file(data, real):
    """The same of files that Keras wrote, and: a single byte anywhere in a model file never costs a thing."""
    files = [layout.KERAS_MODEL, layout.H5_MODEL, layout.WEIGHTS_H5, layout.CHECKPOINT_VARIABLES]
    name = data.draw(st.sampled_from(files)).path(real.name)
    with tempfile.TemporaryDirectory() as folder:
        copy = Run.open(shutil.copytree(real.path, Path(folder, "cnn_models")))
        size = (copy.path / name).stat().st_size
        start, noise = data.draw(st.integers(0, size - 1)), data.draw(st.binary(min_size=1, max_size=400))
        overwrite(copy.path / name, start, noise[: size - start])
        if verify(copy.path).is_whole:
            return
        report = repair(copy.path, Path(folder, "new"))
        if report.is_whole:
            assert tensors_of(Run.open(Path(folder, "new"))) == tensors_of(real)
        assert report.is_whole or len(noise) > 1 or "checkpoint" not in name, [each.how for each in report.outcomes]


# -- the command


def run_archiver(*arguments, cwd):
    result = subprocess.run([PROGRAM, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False)
    assert "Traceback" not in result.stderr
    return result


def test_the_command(tiny, damaged, tmp_path):
    copy = damaged(tiny)
    overwrite(copy.path_of(layout.WEIGHTS_H5), 4000, b"\x55" * 100)
    result = run_archiver("repair", copy.path.name, "--output", "new", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == f"{copy.path.name}: 1 restored"
    assert lines[1].startswith(f"  restored: {layout.WEIGHTS_H5.path(copy.name)}: ")
    assert lines[-1] == f"  seal id: {tiny.seal_id} (as it was)"
    assert run_archiver("verify", "--deep", "new", cwd=tmp_path).returncode == 0
    again = run_archiver("repair", copy.path.name, "--output", "new", cwd=tmp_path)
    assert (again.returncode, "is there already" in again.stderr) == (7, True)
    whole = run_archiver("repair", "new", "--output", "newer", cwd=tmp_path)
    assert (whole.returncode, "there is nothing to repair" in whole.stderr) == (7, True)
    (copy.path / "files" / "notes.txt").write_text("changed, and longer than it was")
    result = run_archiver("repair", copy.path.name, "--output", "part", "--format", "json", cwd=tmp_path)
    assert result.returncode == 1
    report = json.loads(result.stdout)
    assert {each["what"] for each in report["outcomes"]} == {"restored", "not_repaired"}
    assert report["is_whole"] is False


def test_what_the_command_imports(tiny, damaged, tmp_path):
    copy = damaged(tiny)
    copy.path_of(layout.WEIGHTS_H5).write_bytes(b"gone")
    code = (
        "import sys\nfrom archiver.cli.main import main\n"
        f"sys.argv = ['archiver', 'repair', {str(copy.path)!r}, '--output', {str(tmp_path / 'new')!r}]\n"
        "try: main()\nexcept SystemExit as end: assert end.code == 0\n"
        "print('modules:', *sorted(set(sys.modules) & {'keras', 'tensorflow', 'jax', 'torch', 'matplotlib'}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.endswith("modules:\n")


def test_the_public_name():
    assert archiver.repair is repair


def test_manifests_that_changed_places(tiny, damaged):
    copy = damaged(tiny)
    one, two = (copy.path / name for name in ("manifest-sha256.txt", "manifest-blake3.txt"))
    data = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(data)
    restored(tiny, copy, "manifest-sha256.txt", "manifest-blake3.txt")
