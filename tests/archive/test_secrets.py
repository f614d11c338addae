"""An archive in which a token stands is not sealed and not handed over, unless somebody allows it."""

from __future__ import annotations

import json
import zipfile

import h5py
import pytest

from archiver.archive.secrets import refuse_secrets, search_secrets
from archiver.archive.verifying import verify
from archiver.closing import close_unfinished, render_again
from archiver.errors import SecretsFoundError
from archiver.report.report import ReportOptions
from archiver.sealing import changing
from archiver.storage.journal import events_named
from archiver.testing import tiny_run
from tests.collect.tokens import sample_tokens

TOKEN = next(token for kind, token in sample_tokens(0) if kind == "GitHub token")
NO_FIGURES = ReportOptions(figures=False)


def planted(tmp_path, file="files/notes.txt", text=f"a\nremember {TOKEN}\n", **arguments):
    run = tiny_run(tmp_path, **({"sealed": False} | arguments))
    (run.path / file).parent.mkdir(exist_ok=True)
    (run.path / file).write_bytes(text.encode() if isinstance(text, str) else text)
    return run


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return tiny_run(tmp_path_factory.mktemp("whole"), tested=True, phases=2, figures=True)


def test_an_archive_gives_no_false_alarm(whole):
    search = search_secrets(whole)
    assert search.findings == ()
    assert search.not_whole == ()
    assert search.searched_bytes > 100_000
    report = verify(whole.path, secrets=True)
    assert report.is_whole
    assert refuse_secrets(whole) == ()


def test_sealing_is_refused_and_the_data_stays(tmp_path):
    run = planted(tmp_path)
    before = {path for path in run.path.rglob("*") if path.is_file() and not path.name.startswith(".tmp-")}
    with pytest.raises(SecretsFoundError) as error:
        close_unfinished(run, report=NO_FIGURES)
    message = str(error.value)
    assert "files/notes.txt:2: GitHub token (ghp_... (40 characters))" in message
    assert f"Remove it and run `archiver finalize {run.path}`" in message
    assert "--allow-secrets" in message
    assert TOKEN not in message
    assert run.seal_id is None
    assert before <= {path for path in run.path.rglob("*") if path.is_file()}
    found = verify(run.path).findings
    assert [finding.code for finding in found] == ["not_sealed", "not_sealed"]
    assert "files/notes.txt:2: GitHub token" in found[1].message
    with pytest.raises(SecretsFoundError):
        close_unfinished(run, report=NO_FIGURES)
    assert len(list(events_named(run.journal.read(), "secrets_found"))) == 1, "the same again is told once"
    assert TOKEN not in (run.path / "journal.jsonl").read_text()
    (run.path / "files/notes.txt").write_text("nothing")
    close_unfinished(run, report=NO_FIGURES)
    assert verify(run.path, secrets=True).is_whole


def test_what_was_allowed_is_recorded_and_need_not_be_allowed_again(tmp_path):
    run = planted(tmp_path)
    close_unfinished(run, report=NO_FIGURES, allow_secrets=True)
    report = verify(run.path)
    assert report.is_whole
    (allowed,) = [each for each in report.information if each.code == "secret"]
    assert (allowed.path, allowed.message) == (
        "files/notes.txt", "GitHub token: somebody allowed it when the archive was sealed",
    )  # fmt: skip
    assert verify(run.path, secrets=True).is_whole
    with pytest.raises(SecretsFoundError):
        refuse_secrets(run)
    assert len(refuse_secrets(run, allow=True)) == 1
    with changing(run, report=NO_FIGURES):
        run.journal.append("logged", name="x", value=1)
    assert run.seal_id is not None
    assert len(list(events_named(run.journal.read(), "secrets_allowed"))) == 1
    with pytest.raises(SecretsFoundError, match=r"files/other\.txt:1"), changing(run, report=NO_FIGURES):
        (run.path / "files/other.txt").write_text(TOKEN)


def test_a_sealed_archive_is_not_touched_for_a_new_report(tmp_path, monkeypatch):
    run = planted(tmp_path)
    with monkeypatch.context() as patch:  # as a version sealed it that did not search
        patch.setattr("archiver.sealing._check_secrets", lambda *_, **__: None)
        close_unfinished(run, report=NO_FIGURES)
    before = run.seal_id
    with pytest.raises(SecretsFoundError):
        render_again(run, NO_FIGURES)
    assert run.seal_id == before
    findings = verify(run.path, secrets=True).findings
    assert [(each.code, each.path) for each in findings] == [("secret", "files/notes.txt:2")]
    render_again(run, NO_FIGURES, allow_secrets=True)
    assert run.seal_id != before
    assert verify(run.path, secrets=True).is_whole


@pytest.mark.parametrize(
    ("file", "text", "place"),
    [
        ("files/table.csv", f"a,b\n1,{TOKEN}\n", "files/table.csv:2"),
        ("files/notes.ipynb", '{"cells": [{"source": ["x\\n' + TOKEN + '\\n"]}]}', "files/notes.ipynb:1"),
        ("files/windows.txt", f"first\r\n{TOKEN}\r\n".encode("utf-16"), "files/windows.txt:2"),
        ("files/blob.bin", b"\0\1" + TOKEN.encode() + b"\0", "files/blob.bin"),
        ("environment/uncommitted.patch", f"--- a/x\n+++ b/x\n@@ -1 +1 @@\n+{TOKEN}\n", "uncommitted.patch:4"),
        ("environment/source/train.py", f"login('{TOKEN}')\n", "environment/source/train.py:1"),
        (f"files/{TOKEN}.txt", "x", "(its name)"),
    ],
)  # fmt: skip
def test_where_a_token_is_found(file, text, place, tmp_path):
    run = planted(tmp_path, file, text)
    assert [place in each.describe() for each in search_secrets(run).findings] == [True]
    assert TOKEN not in str([each.describe() for each in search_secrets(run).findings])


@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_the_configuration_of_a_model_is_searched(kind, tmp_path):
    run = tiny_run(tmp_path, sealed=False)
    path = run.path / f"models/tiny.{kind}"
    config = {"class_name": "Sequential", "config": {"name": "x", "path": f"https://u:{TOKEN}@h/x", "pad": "x" * 3000}}
    if kind == "keras":
        with zipfile.ZipFile(path) as archive:
            weights = archive.read("model.weights.h5")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("model.weights.h5", weights)
            archive.writestr("config.json", json.dumps(config))
    else:
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = json.dumps(config)
    assert {each.file for each in search_secrets(run).findings} == {f"models/tiny.{kind}"}


def test_what_is_too_large_is_searched_at_its_beginning_and_told(tmp_path, monkeypatch):
    monkeypatch.setattr("archiver.archive.secrets.MAXIMAL_TEXT_BYTES", 5000)
    run = planted(tmp_path, text="word " * 990 + f"\n{TOKEN}\n" + "word " * 1000 + TOKEN)
    search = search_secrets(run)
    assert [each.line for each in search.findings if each.file == "files/notes.txt"] == [2]
    assert "files/notes.txt" in search.not_whole
    assert "files/notes.txt" in {each.path for each in verify(run.path, secrets=True).information}
