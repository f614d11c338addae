"""`seal-id` and `verify --expect`: what was written down elsewhere against what is there."""

import shutil
from pathlib import Path

import pytest

from archiver import verify
from archiver.archive.run import Run
from archiver.cli.main import main
from archiver.errors import ArgumentError
from archiver.sealing import unseal
from archiver.storage.journal import events_named
from archiver.testing import add_phase, add_test_results, tiny_run
from tests.archive.resealing import rewrite_manifests


@pytest.fixture(scope="module")
def sealed(tmp_path_factory) -> Run:
    """Three seals: training, one more phase, test results."""
    run = tiny_run(tmp_path_factory.mktemp("sealed"), phases=2)
    add_test_results(run)
    return run


@pytest.fixture
def run(sealed, tmp_path) -> Run:
    return Run.open(shutil.copytree(sealed.path, tmp_path / "tiny_models"))


def archiver(capsys, *arguments) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def older_seals(run: Run) -> list[str]:
    return [event.details["seal_id"] for event in events_named(run.journal.read(), "unsealed")]


def seal_finding(run: Run, expected: str) -> str:
    (finding,) = (found for found in verify(run.path, expect=expected).findings if found.code == "seal_id")
    return finding.message


def test_seal_id_prints_nothing_but_the_id(run, capsys):
    assert archiver(capsys, "seal-id", run.path) == (0, f"{run.seal_id}\n", "")


def test_seal_id_of_several_runs_and_of_one_that_is_not_sealed(run, tmp_path, capsys):
    tiny_run(tmp_path, "open", sealed=False)
    other = tiny_run(tmp_path, "other")
    code, out, err = archiver(capsys, "seal-id", tmp_path)
    assert code == 7
    assert out == f"{other.seal_id}  {other.path}\n{run.seal_id}  {run.path}\n"
    assert "open_models is not sealed" in err
    assert "`archiver finalize" in err
    assert archiver(capsys, "seal-id", tmp_path / "nowhere")[0] == 4


def test_a_seal_file_that_was_converted(run, capsys):
    seal = run.path / "manifest-blake3.txt"
    expected = run.seal_id
    seal.write_bytes(seal.read_bytes().replace(b"\n", b"\r\n"))
    code, out, err = archiver(capsys, "seal-id", run.path)
    assert (code, out) == (13, "")
    assert "turned into CRLF" in err
    report = verify(run.path, expect=expected)
    assert [finding.code for finding in report.findings] == ["manifest"]
    assert report.seal_id == expected


def test_the_expected_seal(run, capsys):
    report = verify(run.path, expect=f" {run.seal_id.upper()}\n")
    assert report.is_whole
    assert report.expected_seal_id == run.seal_id
    code, out, _ = archiver(capsys, "verify", "--expect", run.seal_id, run.path)
    assert code == 0
    assert f"seal id: {run.seal_id}, as expected" in out


def test_the_seal_before_is_proved_by_its_file_and_says_what_changed(run, capsys):
    expected = older_seals(run)[-1]
    message = seal_finding(run, expected)
    assert "the seal just before (manifest-blake3.previous is that seal)" in message
    assert "(1 seal ago): test results were added" in message
    changed, _, added = message.partition("changed: ")[2].partition("; added: ")
    assert "journal.jsonl" in changed
    assert "results/tiny_results.json" in changed
    assert "manifest" not in changed
    assert added.startswith("results/tiny_predictions.npz")
    code, out, _ = archiver(capsys, "verify", "--expect", expected, run.path)
    assert code == 1
    assert "FINDING [seal_id]" in out


def test_an_older_seal_is_the_journal_s_claim_only(run):
    first = older_seals(run)[0]
    message = seal_finding(run, first)
    assert "as the journal says and nothing else in the archive proves" in message
    assert "(2 seals ago): training went on" in message


def test_the_seal_of_another_archive(run, tmp_path):
    assert "none of the seals that this archive tells of" in seal_finding(run, tiny_run(tmp_path, "other").seal_id)


def test_an_archive_sealed_anew_by_somebody_who_can_write_to_it(run):
    expected = run.seal_id
    (run.path / "files" / "notes.txt").write_text("forged\n")
    rewrite_manifests(run.path)
    assert {finding.code for finding in verify(run.path).findings} == {"disagreement"}, "the metadata tells, as yet"
    assert "sealed anew" in seal_finding(run, expected)


def test_an_archive_that_was_opened_and_not_sealed_again(run):
    expected = run.seal_id
    unseal(run)
    message = seal_finding(run, expected)
    assert message.startswith("the archive is not sealed; expected")
    assert "the seal just before" in message
    assert "(not sealed again since)" in message


def test_a_previous_seal_that_is_no_longer_the_one_it_was(run):
    expected = older_seals(run)[-1]
    with (run.path / "manifest-blake3.previous").open("ab") as file:
        file.write(b"x\n")
    assert "as the journal says and nothing else" in seal_finding(run, expected)
    (run.path / "journal.jsonl").unlink()
    assert "none of the seals" in seal_finding(run, expected)


@pytest.mark.parametrize("text", ["", "abc", "0" * 32, "0" * 63, "0" * 65, "g" * 64, "manifest-blake3.txt"])
def test_what_is_no_whole_seal_id(text, run, capsys):
    with pytest.raises(ArgumentError, match="all of its 64 hexadecimal digits"):
        verify(run.path, expect=text)
    assert archiver(capsys, "verify", f"--expect={text}", run.path)[0] == 2


def test_one_id_is_not_expected_of_several_runs(run, tmp_path, capsys):
    tiny_run(tmp_path, "other")
    code, _, err = archiver(capsys, "verify", "--expect", run.seal_id, tmp_path)
    assert code == 2
    assert "seal id of one archive" in err


def test_many_files_are_named_in_part(tmp_path):
    run = tiny_run(tmp_path)
    expected = run.seal_id
    unseal(run)
    for number in range(30):
        Path(run.path, "files", f"{number:02}.txt").write_text("x")
    add_phase(run)
    assert "files/07.txt and 22 more" in seal_finding(run, expected)
