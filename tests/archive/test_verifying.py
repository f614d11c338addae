import errno
import json
import math
import os
import shutil
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archiver import layout, verify
from archiver.archive import inspection, manifest_list
from archiver.archive.findings import Finding
from archiver.archive.run import Run
from archiver.closing import write_history, write_results
from archiver.errors import ArgumentError, FindingsError, FormatVersionError, NotAnArchiveError, RecordError
from archiver.sealing import changing
from archiver.storage.journal import Journal
from archiver.storage.manifests import MANIFEST_NAMES
from archiver.storage.npz import read_npz_array, write_npz
from archiver.testing import add_phase, tiny_run
from tests.archive.resealing import edit_and_seal, edit_journal, edit_json, rewrite_manifests
from tests.property.campaigns import campaign


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return tiny_run(tmp_path_factory.mktemp("sealed"), tested=True)


@pytest.fixture
def run(sealed: Run, tmp_path: Path) -> Run:
    """A whole archive: two phases' worth of nothing else than what `fit` and `finalize` write."""
    return Run.open(shutil.copytree(sealed.path, tmp_path / "tiny_models"))


def found(run: Run, **options) -> list[tuple[str, str]]:
    """Code and path of each finding."""
    return [(finding.code, finding.path) for finding in verify(run.path, **options).findings]


def messages(run: Run, **options) -> str:
    return "\n".join(finding.describe() for finding in verify(run.path, **options).findings)


def informed(run: Run, **options) -> list[tuple[str, str]]:
    return [(finding.code, finding.path) for finding in verify(run.path, **options).information]


def path_of(file: layout.ArchiveFile, run: Run) -> str:
    return file.path(run.name)


# -- a whole archive


def test_a_whole_archive(run):
    report = verify(run.path, algorithm="all", deep=True)
    assert report.is_whole
    assert report.findings == report.information == ()
    report.raise_for_findings()
    assert report.status == "complete (epochs), sealed"
    assert report.seal_id == run.seal_id
    assert report.algorithms == ("md5", "sha256", "blake3")
    assert report.files_checked == sum(path.is_file() for path in run.path.rglob("*"))
    assert report.bytes_checked == sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file())
    variables = len(run.read(layout.WEIGHTS).variables)
    state = run.read(layout.CHECKPOINT_STATE)
    assert report.tensors_checked == 3 * variables + sum(
        len(group) for group in (state.model, state.optimizer, state.metrics, state.seed_generators)
    ) + len(("output", "target"))
    assert json.loads(json.dumps(report.as_json()))["is_whole"] is True


@pytest.mark.parametrize("status", ["complete", "failed", "interrupted"])
def test_the_status_is_reported(status, tmp_path):
    report = verify(tiny_run(tmp_path, status=status).path, deep=True)
    assert report.is_whole
    assert report.information == ()
    assert report.status.startswith(status)


def test_raise_for_findings_lists_them(run):
    (run.path / "README.md").unlink()
    (run.path / "new\x1b[31m").touch()
    with pytest.raises(FindingsError) as caught:
        verify(run.path).raise_for_findings()
    assert caught.value.exit_code == 1
    text = str(caught.value)
    assert "2 finding(s)" in text
    assert "[missing] README.md: is listed in manifest-blake3.txt and not there" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("algorithm", ["crc32", "", None, "BLAKE3"])
def test_an_unknown_algorithm(algorithm, run):
    with pytest.raises(ArgumentError, match="Expected 'blake3', 'sha256', 'md5' or 'all'"):
        verify(run.path, algorithm=algorithm)


def test_what_is_no_archive(tmp_path):
    (tmp_path / "file").touch()
    for path, what in (("nowhere", "nothing"), ("file", "a file"), (".", "a folder without")):
        with pytest.raises(NotAnArchiveError, match=what):
            verify(tmp_path / path)


@pytest.mark.parametrize("name", ["journal.jsonl", *MANIFEST_NAMES.values()])
def test_one_of_its_files_is_enough_to_be_an_archive(name, tmp_path):
    (tmp_path / name).touch()
    codes = {code for code, _ in found(Run.open(tmp_path))}
    assert codes >= ({"journal"} if name != "journal.jsonl" else {"not_sealed"})


# -- one finding of each code


@pytest.mark.parametrize("status", ["complete", "failed", "interrupted", "running"])
def test_not_sealed_says_what_the_run_is(status, tmp_path):
    run = tiny_run(tmp_path, sealed=False, status=status)
    assert found(run) == [("not_sealed", "")]
    assert f"the run is {status}" in messages(run)
    assert informed(run) == []
    assert verify(run.path).seal_id is None


def test_not_sealed_without_a_journal(run):
    (run.path / "manifest-blake3.txt").unlink()
    (run.path / "journal.jsonl").unlink()
    assert found(run) == [("not_sealed", ""), ("journal", "journal.jsonl")]
    assert "unknown" in verify(run.path).status


def test_not_sealed_reports_what_cannot_be_read(tmp_path):
    run = tiny_run(tmp_path, sealed=False)
    (run.path / path_of(layout.SYSTEM, run)).write_text("{")
    with (run.path / "journal.jsonl").open("ab") as file:
        file.write(b'{"event":\n{"ev')
    count = len(run.journal.read().events)
    assert found(run) == [
        ("not_sealed", ""),
        ("journal", f"journal.jsonl:{count + 1}"),
        ("journal", "journal.jsonl"),
        ("record", "environment/system.json"),
    ]


@pytest.mark.parametrize("algorithm", list(MANIFEST_NAMES))
def test_manifest(algorithm, run):
    name = MANIFEST_NAMES[algorithm]
    data = (run.path / name).read_bytes()
    (run.path / name).write_bytes(b"# a comment\n" + data.replace(b"  README.md", b" *README.md"))
    line = [line.partition(b"  ")[2] for line in data.split(b"\n")].index(b"README.md") + 2
    assert {("manifest", f"{name}:1"), ("manifest", f"{name}:{line}"), ("unlisted", "README.md")} <= set(found(run))


@pytest.mark.parametrize("name", list(MANIFEST_NAMES.values())[:2])
def test_a_manifest_may_not_be_missing(name, run):
    (run.path / name).unlink()
    assert ("missing", name) in found(run)


def test_missing(run):
    file = path_of(layout.KERAS_MODEL, run)
    (run.path / file).unlink()
    assert found(run) == [("missing", file)]
    assert "is listed in manifest-blake3.txt and not there" in messages(run)


@pytest.mark.parametrize("algorithm", ["blake3", "sha256", "md5", "all"])
def test_changed(algorithm, run):
    file = path_of(layout.KERAS_MODEL, run)
    with (run.path / file).open("r+b") as opened:
        opened.write(b"p")
    assert found(run, algorithm=algorithm) == [("changed", file)]
    expected = "md5, sha256, blake3" if algorithm == "all" else algorithm
    assert f"its {expected} is not the recorded one" in messages(run, algorithm=algorithm)


@pytest.mark.parametrize("algorithm", ["blake3", "sha256", "md5", "all"])
@pytest.mark.parametrize("name", list(MANIFEST_NAMES.values())[:2])
def test_manifests_are_checked_against_each_other_whatever_is_chosen(algorithm, name, run):
    data = (run.path / name).read_bytes()
    digit = b"0" if data[:1] != b"0" else b"1"
    (run.path / name).write_bytes(digit + data[1:])
    assert ("changed", name) in found(run, algorithm=algorithm)


def test_unlisted(run):
    (run.path / "files" / "Ä").touch()
    (run.path / "empty" / "inner").mkdir(parents=True)
    assert found(run) == [("unlisted", "empty"), ("unlisted", "empty/inner"), ("unlisted", "files/Ä")]


@pytest.mark.parametrize(
    "path",
    ["../outside", "/etc/passwd", "files/../../outside", "./README.md", "files//notes.txt", "C:x", "a\\b", "a\x07"],
)
def test_unsafe_path(path, run, tmp_path):
    (tmp_path / "outside").write_text("x")
    for name, digits in zip(MANIFEST_NAMES.values(), (32, 64, 64), strict=True):
        lines = [(line[digits + 2 :], line) for line in (run.path / name).read_bytes().splitlines()]
        lines = sorted([*lines, (path.encode(), b"0" * digits + b"  " + path.encode())])
        (run.path / name).write_bytes(b"".join(line + b"\n" for _, line in lines))
    unsafe = {path for code, path in found(run) if code == "unsafe_path"}
    assert unsafe == set(MANIFEST_NAMES.values())
    assert repr(path) in "\n".join(finding.message for finding in verify(run.path).findings)


@pytest.mark.parametrize("kind", ["symlink", "fifo", "socket"])
def test_not_a_regular_file(kind, run, monkeypatch):
    path = run.path / "README.md"
    path.rename(run.path.parent / "moved")
    if kind == "symlink":
        path.symlink_to(run.path.parent / "moved")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        monkeypatch.chdir(run.path)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("README.md")
    assert found(run) == [("not_a_regular_file", "README.md"), ("missing", "README.md")]
    assert f"is a {kind}" in messages(run)


def test_a_linked_folder_is_not_entered(run):
    shutil.move(run.path / "files", run.path.parent / "moved")
    (run.path / "files").symlink_to(run.path.parent / "moved")
    assert found(run) == [("not_a_regular_file", "files"), ("missing", "files/notes.txt")]


def test_unreadable(run, monkeypatch):
    open_below = inspection.open_below

    def refusing(folder, path):
        if path == "README.md":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return open_below(folder, path)

    monkeypatch.setattr(inspection, "open_below", refusing)
    assert found(run) == [("unreadable", "README.md")]


def test_folders_too_deep_to_be_listed(run):
    (run.path / "/".join("d" * 70)).mkdir(parents=True)
    assert found(run)[0] == ("unreadable", "")
    assert "nested too deep" in messages(run)


def test_a_manifest_too_large_to_be_read(run, monkeypatch):
    monkeypatch.setattr(manifest_list, "MAXIMAL_MANIFEST_BYTES", 100)
    assert ("unreadable", "manifest-md5.txt") in found(run)


@pytest.mark.parametrize(
    ("edit", "place", "reason"),
    [
        (lambda record: record.pop("packages"), "#/packages", "required"),
        (lambda record: record.update(extra=1), "#/extra", "a later release may have added it"),
        (lambda record: record["packages"]["keras"].update(editable="no"), "#/packages/keras/editable", "boolean"),
        (lambda record: record.update(collected="today"), "#/collected", "datetime"),
        (lambda record: record.update(kind="git"), "#/kind", "packages"),
        (lambda record: record.update(format_version=2), "#/format_version", "pip install --upgrade"),
        (lambda record: record.update(format_version=0), "#/format_version", "1"),
    ],
)
def test_record(edit, place, reason, run):
    edit_and_seal(run, "environment/packages.json", edit)
    (finding,) = verify(run.path).findings
    assert (finding.code, finding.path) == ("record", "environment/packages.json")
    assert place in finding.message
    assert reason in finding.message


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b'"', b"\xff\xfe", b"\0" * 100, b"[" * 100_000, b'{"a":' * 100_000, b'{"kind": 1e999}'],
)
def test_record_that_is_no_json_object(data, run):
    with changing(run):
        (run.path / "environment/packages.json").write_bytes(data)
    assert set(found(run)) == {("record", "environment/packages.json")}


def test_a_record_of_a_newer_format_is_an_error_of_its_own_when_it_is_read(run):
    edit_json(run.path_of(layout.SYSTEM), lambda record: record.update(format_version=2, invented=True))
    with pytest.raises(FormatVersionError, match="newer version of archiver") as caught:
        run.read(layout.SYSTEM)
    assert caught.value.exit_code == 5
    run.path_of(layout.SYSTEM).unlink()
    with pytest.raises(RecordError, match="expected machine and Python"):
        run.read(layout.SYSTEM)


def test_a_whole_number_too_large_for_a_float(run):
    def enlarge(record):
        record["phases"][0]["metrics"]["loss"][0] = 10**400

    edit_and_seal(run, path_of(layout.HISTORY, run), enlarge)
    (finding,) = verify(run.path).findings
    assert finding.code == "record"
    assert "308 digits" in finding.message


def test_schema_that_is_not_ours(run):
    edit_json(run.path / "schemas/history.schema.json", lambda schema: schema.update(title="Herstory"))
    rewrite_manifests(run.path)
    assert ("schema", "schemas/history.schema.json") in found(run)


def test_schema_that_is_missing(run):
    (run.path / "schemas/history.schema.json").unlink()
    rewrite_manifests(run.path)
    assert ("missing", "schemas/history.schema.json") in found(run)


def test_schema_that_a_record_does_not_name(run):
    with changing(run):
        edit_json(run.path_of(layout.SYSTEM), lambda record: record.update({"$schema": "https://example.org"}))
    assert found(run) == [("schema", "environment/system.json#/$schema")]


def test_journal_that_is_gone(run):
    (run.path / "journal.jsonl").unlink()
    rewrite_manifests(run.path)
    assert ("journal", "journal.jsonl") in found(run)
    assert verify(run.path).name == run.name


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"nonsense",
        b"\xff",
        b'{"event": "sealed"}',
        b'{"event":"danced","utc":"2026-11-21T00:00:00Z","monotonic_seconds":1}',
        b'{"event":"sealed","utc":"2026-11-21T00:00:00","monotonic_seconds":1}',
    ],
)
def test_journal_with_a_line_that_is_no_event(line, run):
    lines = (run.path / "journal.jsonl").read_bytes().splitlines()
    (run.path / "journal.jsonl").write_bytes(b"\n".join([lines[0], line, *lines[1:], b""]))
    rewrite_manifests(run.path)
    assert ("journal", "journal.jsonl:2") in found(run)


def test_journal_whose_last_line_is_cut_short(run):
    data = (run.path / "journal.jsonl").read_bytes()
    (run.path / "journal.jsonl").write_bytes(data[:-1])
    rewrite_manifests(run.path)
    assert ("journal", "journal.jsonl") in found(run)
    assert "cut short" in messages(run)


# -- disagreements, sealed anew so that every hash is right


def set_metric(record):
    record["phases"][0]["metrics"]["val_accuracy"][1] = 0.99


def drop_epoch(record):
    for column in (*record["phases"][0]["metrics"].values(), record["phases"][0]["epochs"]):
        column.pop()


def call_it_complete(record):
    record["phases"][0].update(status="failed", stop_reason=None)


@pytest.mark.parametrize("edit", [set_metric, drop_epoch, call_it_complete])
def test_history_against_the_journal(edit, run):
    edit_and_seal(run, path_of(layout.HISTORY, run), edit)
    assert found(run) == [("disagreement", path_of(layout.HISTORY, run))]


@pytest.mark.parametrize("name", ["epoch_count", "phase_count"])
def test_counts_in_the_results_against_the_journal(name, run):
    edit_and_seal(run, path_of(layout.RESULTS, run), lambda record: record.update({name: 7}))
    assert found(run) == [("disagreement", f"{path_of(layout.RESULTS, run)}#/{name}")]
    assert "received 7" in messages(run)


def test_an_epoch_that_was_taken_out_of_the_journal(run):
    def drop(events):
        del events[next(i for i, event in enumerate(events) if event["event"] == "epoch_ended")]

    edit_journal(run.path, drop)
    rewrite_manifests(run.path)
    assert {("disagreement", path_of(layout.HISTORY, run))} <= set(found(run))


@pytest.mark.parametrize(
    "details",
    [
        {},
        {"metrics": "none"},
        {"metrics": ["loss"]},
        {"epoch": 0, "metrics": {"loss": 10**400}},
        {"epoch": "first"},
        {"epoch": -1},
        {"epoch": [1]},
        {"epoch": 0, "seconds": {}, "metrics": {}},
    ],
)
def test_events_that_make_no_sense(details, run):
    def spoil(events):
        next(event for event in events if event["event"] == "epoch_ended")["details"] = details

    edit_journal(run.path, spoil)
    rewrite_manifests(run.path)
    assert "disagreement" in {code for code, _ in found(run)}
    for event in run.journal.read().events:
        assert event.event


@pytest.mark.parametrize(
    ("section", "edit"),
    [
        ("performance", lambda results: results["performance"]["loss"].update(mean=0.5)),
        ("performance", lambda results: results["performance"].pop("val_loss")),
        ("convergence", lambda results: results["convergence"]["whole_run"].update(trend_per_epoch=-1.0)),
        ("timing", lambda results: results["timing"]["phases"][0].update(train_seconds=1.0)),
    ],
)
def test_what_follows_from_the_journal_is_derived_again(section, edit, run):
    edit_and_seal(run, "results/tiny_results.json", edit)
    (finding,) = verify(run.path).findings
    assert (finding.code, finding.path) == ("disagreement", f"results/tiny_results.json#/{section}")


def test_parameter_counts_against_the_table_of_weights(run):
    def add_one(record):
        record["parameters"]["total"] += 1

    edit_and_seal(run, path_of(layout.MODEL_CONFIG, run), add_one)
    assert found(run) == [("disagreement", f"{path_of(layout.MODEL_CONFIG, run)}#/parameters/total")]
    assert "(table of weights)" in messages(run)


def other_digest(record):
    record["weights_digest"] = "0" * 64


def other_test_digest(record):
    record["test"]["weights_digest"] = "0" * 64


@pytest.mark.parametrize(
    ("file", "edit", "place"),
    [
        (layout.RESULTS, other_digest, "weights_digest"),
        (layout.RESULTS, other_test_digest, "test/weights_digest"),
        (layout.CHECKPOINT_STATE, other_digest, "weights_digest"),
    ],
    ids=["results", "test", "checkpoint"],
)
def test_weights_digests(file, edit, place, run):
    edit_and_seal(run, path_of(file, run), edit)
    assert found(run) == [("disagreement", f"{path_of(file, run)}#/{place}")]


def test_metadata_against_the_manifest(run):
    name = path_of(layout.METADATA, run)

    def edit(record):
        record["files"]["README.md"]["md5"] = "0" * 32
        record["files"]["journal.jsonl"]["size_bytes"] += 1
        del record["files"][path_of(layout.WEIGHTS, run)]

    edit_json(run.path / name, edit)
    rewrite_manifests(run.path)
    assert found(run) == [("disagreement", f"{name}#/files")] * 3
    text = messages(run)
    for part in ("MD5 of README.md", "size of journal.jsonl", path_of(layout.WEIGHTS, run)):
        assert part in text


def test_a_file_the_table_of_weights_tells_of(run):
    with changing(run):
        run.path_of(layout.KERAS_MODEL).unlink()
    assert found(run) == [("missing", path_of(layout.KERAS_MODEL, run))]
    assert "#/formats/keras" in messages(run)


# -- the chain of seals


def test_another_seal_before(run):
    with (run.path / "manifest-blake3.previous").open("ab") as file:
        file.write(b"\n")
    rewrite_manifests(run.path)
    places = {path for code, path in found(run) if code == "seal_chain"}
    assert places == {"manifest-blake3.previous", f"{path_of(layout.METADATA, run)}#/previous_seal_id"}


def test_no_seal_before(run):
    (run.path / "manifest-blake3.previous").unlink()
    rewrite_manifests(run.path)
    assert ("seal_chain", "manifest-blake3.previous") in found(run)
    assert "expected" in messages(run)


def test_a_journal_that_went_on_after_the_seal(run):
    Journal(run.path).append("logged", name="late", value=1)
    rewrite_manifests(run.path)
    assert ("seal_chain", "journal.jsonl") in found(run)


def test_a_journal_that_forgot_a_seal(run):
    edit_journal(run.path, lambda events: events.remove(next(e for e in events if e["event"] == "unsealed")))
    rewrite_manifests(run.path)
    assert ("seal_chain", "manifest-blake3.previous") in found(run)


# -- tensors


def other_bias(run):
    """The checkpoint with another bias, of the same shape."""
    path = run.path_of(layout.CHECKPOINT_VARIABLES)
    with zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
    arrays = {name: read_npz_array(path, name) for name in names}
    write_npz(path, [(name, array + 1 if name == "model/1" else array) for name, array in arrays.items()])


def test_a_tensor_that_was_sealed_with_other_numbers(run):
    with changing(run):
        other_bias(run)
    assert found(run) == []
    file = path_of(layout.CHECKPOINT_VARIABLES, run)
    assert found(run, deep=True) == [("tensor", file)]
    assert "tensor model/1 (variable tiny/dense/bias of layer dense) is not the recorded one" in messages(
        run, deep=True
    )


@pytest.mark.parametrize("file", [layout.KERAS_MODEL, layout.H5_MODEL, layout.WEIGHTS_H5, layout.CHECKPOINT_VARIABLES])
@pytest.mark.parametrize("data", [b"", b"PK\5\6" + bytes(18), b"\x89HDF\r\n\x1a\n", b"nothing that can be opened"])
def test_a_model_file_that_is_none(file, data, run):
    with changing(run):
        (run.path / path_of(file, run)).write_bytes(data)
    assert found(run) == []
    assert {path for _, path in found(run, deep=True)} == {path_of(file, run)}


def test_a_model_of_another_phase(run):
    old = run.path_of(layout.WEIGHTS_H5).read_bytes()
    add_phase(run)
    with changing(run):
        run.path_of(layout.WEIGHTS_H5).write_bytes(old)
    assert {path for _, path in found(run, deep=True)} == {path_of(layout.WEIGHTS_H5, run)}
    assert len(found(run, deep=True)) == 4


def test_a_checkpoint_without_arrays(run):
    with changing(run):
        run.path_of(layout.CHECKPOINT_VARIABLES).unlink()
    assert found(run, deep=True) == [("missing", path_of(layout.CHECKPOINT_VARIABLES, run))]


def test_a_location_that_is_not_in_the_file(run):
    def move(record):
        record["variables"][2]["locations"]["keras"] = "layers/elsewhere/vars/0"

    edit_and_seal(run, path_of(layout.WEIGHTS, run), move)
    assert found(run, deep=True) == [("tensor", path_of(layout.KERAS_MODEL, run))]
    assert "layer dense_1" in messages(run, deep=True)


def test_what_cannot_be_compared_is_said(run):
    def edit(record):
        del record["variables"][1]["locations"]["h5"]
        record["formats"]["h5"]["not_comparable"] = {"1": "bfloat16 is |V2 there", "99": "nobody", "x": "knows"}
        record["formats"]["keras"] = {"file": None, "unavailable": "NotImplementedError: no get_config"}

    with changing(run):
        edit_json(run.path_of(layout.WEIGHTS), edit)
        run.path_of(layout.KERAS_MODEL).unlink()
    report = verify(run.path, deep=True)
    assert report.findings == ()
    texts = [finding.describe() for finding in report.information if finding.code == "not_comparable"]
    assert any("tiny/dense/bias: bfloat16 is |V2 there" in text for text in texts)
    assert any("#/formats/keras: was not written: NotImplementedError" in text for text in texts)


# -- what is excused, and what is only said


def test_a_file_that_could_not_be_written_is_excused_by_the_journal(tmp_path):
    run = tiny_run(tmp_path, sealed=False)
    for file in (layout.GIT, layout.DATASET_STATS, layout.WEIGHTS):
        run.path_of(file).unlink()
    journal = Journal(run.path)
    error = {"type": "OSError", "message": "no space", "location": None}
    with changing(run):
        journal.append("step_failed", step="git", file="environment/git.json", exception=error)
    report = verify(run.path, deep=True)
    assert report.findings == ()
    said = {finding.path: finding.message for finding in report.information}
    assert said["environment/git.json"] == "git failed: OSError: no space"
    for file in (layout.DATASET_STATS, layout.WEIGHTS, layout.RESULTS, layout.HISTORY):
        assert "was not there when the archive was sealed" in said[path_of(file, run)]


def test_a_file_that_was_taken_out_is_not_excused(run):
    (run.path / "environment/git.json").unlink()
    (run.path / path_of(layout.HISTORY, run)).unlink()
    rewrite_manifests(run.path)
    text = messages(run)
    assert (
        "[missing] environment/git.json: there is no state of the repository, and the journal does not say why" in text
    )
    assert f"[missing] {path_of(layout.HISTORY, run)}" in text


def test_hard_links_are_said(run):
    os.link(run.path / "README.md", run.path.parent / "another name")
    assert found(run) == []
    assert informed(run) == [("hard_link", "README.md")]


def test_files_that_no_version_of_the_format_knows_are_said(run):
    with changing(run):
        (run.path / "notes.org").write_text("mine")
    assert found(run) == []
    assert informed(run) == [("unknown_file", "notes.org")]


def test_code_in_the_model_is_said(run):
    edit_and_seal(run, path_of(layout.MODEL_CONFIG, run), lambda record: record.update(needs_trust=["Lambda 'f'"]))
    assert found(run) == []
    assert informed(run) == [("needs_trust", path_of(layout.MODEL_CONFIG, run))]


def test_text_without_control_characters():
    text = Finding("record", "a\nb", "\x1b]0;title\x07 \u202eabc").describe()
    assert text.isprintable()


# -- whatever a stranger seals


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.just("0" * 64)
    | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=4,
)


def places(value, path=()):
    """All places inside a document."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def put(document, path, value):
    for key in path[:-1]:
        document = document[key]
    document[path[-1]] = value


@pytest.mark.stress
@settings(
    max_examples=campaign(60, 3000),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data(), value=json_values)
def test_any_document_is_reported_never_raised(data, value, sealed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stranger")
    run = Run.open(shutil.copytree(sealed.path, folder / "run"))
    records = [path_of(entry, run) for entry in layout.RECORD_FILES if run.has(entry)]
    name = data.draw(st.sampled_from([*records, *["journal.jsonl"] * len(records)]))
    path = run.path / name
    lines = path.read_text().splitlines() if name == "journal.jsonl" else [path.read_text()]
    number = data.draw(st.integers(0, len(lines) - 1))
    document = json.loads(lines[number])
    put(document, data.draw(st.sampled_from(list(places(document))[1:])), value)
    lines[number] = json.dumps(document)
    path.write_text("\n".join(lines) + "\n")
    rewrite_manifests(run.path)
    report = verify(run.path, deep=True)
    assert all(finding.describe().isprintable() for finding in report.findings + report.information)
    assert json.dumps(report.as_json())
    shutil.rmtree(folder)


# -- the command line


PROGRAM = str(Path(sys.executable).parent / "archiver")


def archiver(*arguments, cwd):
    result = subprocess.run([PROGRAM, *map(str, arguments)], cwd=cwd, capture_output=True, check=False)
    assert b"Traceback" not in result.stderr
    return result.returncode, result.stdout.decode(), result.stderr.decode()


def test_the_command_on_a_whole_archive(run):
    code, out, err = archiver("verify", run.path, cwd=run.path.parent)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"{run.path}: whole"
    assert lines[1] == "  status: complete (epochs), sealed"
    count = sum(path.is_file() for path in run.path.rglob("*"))
    assert lines[2].startswith(f"  checked {count} files, ")
    assert lines[3] == f"  seal id: {run.seal_id}"
    code, out, _ = archiver("verify", "--deep", "--hash", "all", ".", cwd=run.path)
    assert code == 0
    assert "(md5, sha256, blake3), 23 tensors" in out


def test_the_command_with_findings_in_text_and_json(run):
    (run.path / "README.md").write_text("changed")
    (run.path / os.fsdecode(b"\xff\x1b[2J")).touch()
    code, out, err = archiver("verify", run.path, cwd=run.path.parent)
    assert (code, err) == (1, "")
    assert out.startswith(f"{run.path}: 2 finding(s)\n")
    assert "  FINDING [changed] README.md: its blake3 is not the recorded one (7 bytes now, " in out
    assert "\x1b" not in out
    code, out, err = archiver("verify", "--format", "json", "--hash", "md5", run.path, cwd=run.path.parent)
    assert (code, err) == (1, "")
    (report,) = json.loads(out)
    assert {finding["code"] for finding in report["findings"]} == {"changed", "unlisted"}
    assert report["is_whole"] is False
    assert report["name"] == "tiny"
    assert report["algorithms"] == ["md5"]


def test_the_command_on_a_store_of_several_runs(tmp_path):
    first, second = tiny_run(tmp_path / "store", "a"), tiny_run(tmp_path / "store" / "group", "b", sealed=False)
    other = tiny_run(tmp_path, "c")
    code, out, _ = archiver("verify", "store", other.path, cwd=tmp_path)
    assert code == 1
    assert [line for line in out.splitlines() if not line.startswith(" ")] == [
        f"store/{first.path.name}: whole",
        f"store/group/{second.path.name}: 1 finding(s)",
        f"{other.path}: whole",
        "",
        "2 of 3 archives are whole",
    ]
    assert "[not_sealed]" in out
    code, out, _ = archiver("verify", "--format", "json", "store", other.path, cwd=tmp_path)
    assert [report["name"] for report in json.loads(out)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere"], 4, "where there is nothing"),
        (["file"], 4, "where there is a file"),
        (["empty"], 4, "a folder without journal.jsonl"),
        (["no\x1b[31mwhere"], 4, "where there is nothing"),
        ([], 2, "Missing argument"),
        (["--hash", "crc32", "."], 2, "Invalid value"),
        (["--format", "xml", "."], 2, "Invalid value"),
        (["--frobnicate", "."], 2, "No such option"),
    ],
)
def test_the_command_on_what_is_no_archive(arguments, code, message, run, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    status, out, err = archiver("verify", *arguments, cwd=tmp_path)
    assert status == code
    assert ("tiny_models: whole" in out) is ("tiny_models" in arguments), "what can be verified is"
    assert message in err
    assert "\x1b" not in err


def test_the_command_reports_the_archives_beside_what_is_none(run, tmp_path):
    (tmp_path / "empty").mkdir()
    code, out, err = archiver("verify", "nowhere", run.path, "empty", cwd=tmp_path)
    assert code == 4
    assert f"{run.path}: whole" in out
    assert "1 of 3 archives are whole" in out
    assert "'nowhere', where there is nothing" in err
    assert "'empty', a folder without journal.jsonl" in err


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "latin-1"])
def test_the_command_on_names_that_the_terminal_cannot_show(encoding, run, tmp_path):
    folder = run.path.rename(tmp_path / os.fsdecode(b"\xc3\xa4\xff"))
    for form in ("text", "json"):
        command = [PROGRAM, "verify", "--format", form, folder.name]
        environment = os.environ | {"PYTHONIOENCODING": encoding}
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, env=environment, check=True)
        assert result.stderr == b""
    assert json.loads(result.stdout)[0]["is_whole"]


def imported_by(code: str) -> set[str]:
    """The modules that are loaded when `code` has run."""
    code = f"import sys\n{code}\nprint('modules:', *sorted(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    return set(out.rpartition("modules:")[2].split())


COMMAND = """
from archiver.cli.main import main
sys.argv = ["archiver", *{arguments!r}]
try:
    main()
except SystemExit as end:
    assert end.code == {code}, end.code
"""


@pytest.mark.parametrize(
    ("arguments", "never"),
    [
        (["--help"], {"pydantic", "numpy", "h5py", "rich"}),
        (["verify", "--help"], {"pydantic", "numpy", "h5py", "rich"}),
        (["verify"], {"h5py", "rich", "numpy", "git"}),
        (["verify", "--deep"], {"rich", "git"}),
    ],
    ids=["help", "verify-help", "verify", "deep"],
)
def test_what_the_command_imports(arguments, never, run):
    arguments = arguments if "--help" in arguments else [*arguments, str(run.path)]
    loaded = imported_by(COMMAND.format(arguments=arguments, code=0))
    assert not loaded & {"keras", "tensorflow", "jax", "torch", "matplotlib", *never}


# -- the tools that every system has


@pytest.mark.parametrize(("tool", "algorithm"), [("md5sum", "md5"), ("sha256sum", "sha256"), ("b3sum", "blake3")])
def test_the_standard_tools_agree(tool, algorithm, run):
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    name = MANIFEST_NAMES[algorithm]
    strict = ["--strict"] if tool != "b3sum" else []
    arguments = [tool, "--check", *strict, name]
    result = subprocess.run(arguments, cwd=run.path, capture_output=True, text=True, check=True)
    assert result.stdout.count(": OK\n") == len((run.path / name).read_bytes().splitlines())
    (run.path / "README.md").write_text("changed")
    result = subprocess.run(arguments, cwd=run.path, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "README.md: FAILED" in result.stdout


def test_nothing_is_written_by_looking(run):
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in [run.path, *run.path.rglob("*")]}
    verify(run.path, algorithm="all", deep=True)
    archiver("verify", "--deep", run.path, cwd=run.path)
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in [run.path, *run.path.rglob("*")]} == before


def test_a_loss_that_is_no_number(run):
    def spoil(events):
        next(event for event in events if event["event"] == "epoch_ended")["details"]["metrics"]["loss"] = "NaN"

    edit_journal(run.path, spoil)
    with changing(run):
        write_history(run)
        write_results(run)
    assert found(run) == []
    assert math.isnan(run.read(layout.HISTORY).phases[0].metrics["loss"][0])


def test_finalize_does_not_seal_what_was_changed_after_a_seal(run, tmp_path):
    """Somebody changes a file and removes the seal: a manifest that is left tells."""
    weights = path_of(layout.WEIGHTS_H5, run)
    data = bytearray((run.path / weights).read_bytes())
    data[len(data) // 2] ^= 1
    (run.path / weights).write_bytes(data)
    (run.path / "manifest-blake3.txt").unlink()
    status, _, err = archiver("finalize", run.path.name, cwd=tmp_path)
    assert status == 7
    assert f"{weights} changed after it was sealed" in err
    assert run.seal_id is None
    status, _, _ = archiver("finalize", "--force", run.path.name, cwd=tmp_path)
    assert status == 0
    assert any(event.event == "warning" for event in run.journal.read().events), "the journal keeps it"


def test_finalize_goes_on_after_a_seal_or_an_unseal_that_was_cut_short(run, tmp_path):
    (run.path / "manifest-blake3.txt").rename(run.path / "manifest-blake3.previous")
    status, _, err = archiver("finalize", run.path.name, cwd=tmp_path)
    assert (status, err) == (0, "")
    assert verify(run.path, deep=True).is_whole
