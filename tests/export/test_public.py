"""A public copy says nothing of who trained and where, is whole, and says what it lacks."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import pytest

from archiver import layout
from archiver.archive.run import Run
from archiver.archive.verifying import verify
from archiver.closing import close_unfinished
from archiver.errors import ArchiverError, ArgumentError, PrivacyError, RunStateError, SecretsFoundError
from archiver.export.leaving_out import CHOICES, DEFAULT
from archiver.export.public import publish
from archiver.records.base import Unavailable
from archiver.report.report import ReportOptions
from archiver.storage.journal import events_named
from archiver.storage.manifests import PREVIOUS_SEAL
from archiver.testing import tiny_run
from archiver.testing.records import keras_config
from tests.archive.test_secrets import TOKEN

NO_FIGURES = ReportOptions(figures=False)
PROGRAM = str(Path(sys.executable).parent / "archiver")


def json_of(path):
    return json.loads(path.read_text())


def edit(run, file, change):
    path = run.path_of(file)
    value = json_of(path)
    change(value)
    path.write_text(json.dumps(value))


def told_run(tmp_path, user="adalovelace", host="lab-pc-17.physics.example.org", name="tiny", home=None):
    """An archive in which who and where stand wherever they can stand."""
    home = home or f"/home/{user}"
    run = tiny_run(tmp_path / "runs", name, sealed=False)
    journal = run.path / "journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in lines:
        if "process" in line["details"]:
            line["details"]["process"]["host"] = host
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    message = f"No such file: '{home}/eeg data/sub-01.edf' on {host}, and /scratch/{user}/tmp/x.npy"
    trace = f'Traceback (most recent call last):\n  File "{home}/project/train.py", line 3, in <module>\n'
    run.journal.append("warning", message=f"{message}; {trace}")
    run.journal.append(
        "step_failed", step="x", file=None, exception={"type": "OSError", "message": message, "location": "a"}
    )
    run.journal.append("logged", name=f"{home}/log", value=f"{user}@{host}:/mnt/group/{user}/runs")

    def system(value):
        value["machine"] |= {"host_name": host, "boot_id": "0b0e7c1a-1111-2222-3333-444455556666"}
        value["process"] |= {"working_directory": f"{home}/project", "executable": f"{home}/venv/bin/python"}
        value["python"] |= {"prefix": f"{home}/venv", "path": ["", f"{home}/project", "/usr/lib/python3.11"]}
        value["environment"] = {"CUDA_HOME": f"{home}/cuda", "MASTER_ADDR": host}

    def run_record(value):
        value["process"]["host"] = host
        value["notes"] = f"Trained by {user} in {home}/project, on 192.168.17.4 (52:54:00:ab:cd:ef)"
        value["dataset_source"] = {"train": f"/mnt/group/{user}/eeg/train.h5", "url": "https://data.example.org/eeg"}
        value["command"] |= {
            "start": "script",
            "target": f"{home}/project/train.py",
            "arguments": ["--out", f"{home}/o"],
        }

    def train(value):
        value["phases"][0]["callbacks"] = [
            {
                "class_name": "keras.src.callbacks.ModelCheckpoint",
                "position": 0,
                "arguments": {"filepath": f"{home}/check points/best.keras", "log_dir": f"/scratch/{user}/logs"},
                "attributes": {},
            }
        ]

    edit(run, layout.SYSTEM, system)
    edit(run, layout.RUN, run_record)
    edit(run, layout.TRAIN_CONFIG, train)
    files = {
        f"files/notes of {user}.txt": f"{home}/project is mine, says {user.upper()}\n",
        f"files/{user}_results.csv": f"subject,path\n1,{home}/eeg/1.edf\n",
        "files/analysis.ipynb": json.dumps({"cells": [{"source": [f"open('{home}/eeg/1.edf')\n"]}]}),
        "files/wide.txt": f"{home}/x".encode("utf-16"),
        "files/blob.bin": b"\0\1\2" + f"  {home}/deep/inside by {user}  ".encode() + b"\0",
        "environment/uncommitted.patch": f"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+open('{home}/eeg/2.edf')\n",
    }
    source = f"# {home}/project/train.py\nDATA = '/mnt/group/{user}/eeg'\nprint('{host}')\n"
    (run.path / "environment/source/train.py").write_text(source)
    digest = hashlib.sha256(source.encode()).hexdigest()
    edit(run, layout.SOURCE, lambda value: value["files"][0].update(size_bytes=len(source), sha256=digest))
    for path, text in files.items():
        (run.path / path).write_bytes(text if isinstance(text, bytes) else text.encode())
    config = keras_config()
    config["config"]["layers"][1]["config"]["vocabulary"] = f"{home}/vocab.txt"
    with zipfile.ZipFile(run.path_of(layout.KERAS_MODEL)) as old:
        members = {each: old.read(each) for each in old.namelist()}
    with zipfile.ZipFile(run.path_of(layout.KERAS_MODEL), "w", zipfile.ZIP_DEFLATED) as new:
        for member, data in members.items():
            new.writestr(member, json.dumps(config) if member == "config.json" else data)
    with h5py.File(run.path_of(layout.H5_MODEL), "r+") as file:
        file.attrs["model_config"] = json.dumps(config)
    close_unfinished(run, report=NO_FIGURES)
    assert verify(run.path, deep=True).is_whole
    return run


def bytes_of(run):
    """Of every file, and of every member of a zip file."""
    for path in sorted(run.path.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(run.path)), path.read_bytes()
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    yield from ((f"{path.name}:{name}", archive.read(name)) for name in archive.namelist())
        yield "names", str(path.relative_to(run.path)).encode()


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", "/home/adalovelace")
        yield copied(folder)


def copied(folder):
    run = told_run(folder)
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    copy = publish(run, folder / "public", keep=["patch", "arguments"], report=NO_FIGURES)
    assert before == {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}, "it is not touched"
    return run, copy


def test_nothing_of_who_and_where_is_left(pair):
    _, copy = pair
    for secret in (
        "adalovelace", "ADALOVELACE", "lab-pc-17", "physics.example.org", "/home/", "/scratch/", "/mnt/group",
        "192.168.17", "52:54:00", "0b0e7c1a", "MASTER_ADDR", str(Path.cwd()),
    ):  # fmt: skip
        assert [where for where, data in bytes_of(copy) if secret.encode() in data and "schemas/" not in where] == [], (
            secret
        )
        wide = secret.encode("utf-16-le")
        assert [where for where, data in bytes_of(copy) if wide in data] == [], secret


def test_the_copy_is_whole_and_its_weights_are_the_same(pair):
    run, copy = pair
    report = verify(copy.path, algorithm="all", deep=True, secrets=True)
    assert report.findings == ()
    assert {each.code for each in report.information} >= {"published", "step_failed"}
    assert copy.read(layout.WEIGHTS).weights_digest == run.read(layout.WEIGHTS).weights_digest
    assert copy.read(layout.HISTORY).phases[0].metrics == run.read(layout.HISTORY).phases[0].metrics
    assert not (copy.path / PREVIOUS_SEAL).exists()
    assert copy.has(layout.KERAS_MODEL)
    with zipfile.ZipFile(copy.path_of(layout.KERAS_MODEL)) as archive:
        assert b'"~/vocab.txt"' in archive.read("config.json")
    with h5py.File(copy.path_of(layout.H5_MODEL)) as file:
        assert '"~/vocab.txt"' in file.attrs["model_config"]


def test_it_says_what_it_lacks(pair):
    run, copy = pair
    (event,) = events_named(copy.journal.read(), "published")
    details = event.details
    assert details["original_seal_id"] == run.seal_id
    assert details["left_out"][-2:] == ["environment", "remote"]
    assert details["replaced"]["path"] > 10
    assert details["replaced"]["user"] > 3
    assert list(details["left_out_files"]) == ["files/blob.bin"]
    assert "environment/source/train.py" in details["changed_files"]
    readme = (copy.path / "README.md").read_text()
    assert "## A public copy" in readme
    assert run.seal_id in readme
    assert "files/blob.bin" in readme


def test_the_same_is_replaced_by_the_same(pair):
    _, copy = pair
    record = copy.read(layout.RUN)
    assert record.process.host == "<host>"
    assert record.command.target == "~/project/train.py"
    assert record.command.arguments == ("--out", "~/o")
    (folder,) = re.findall(r"<folder-\d+>", record.dataset_source["train"])
    assert record.dataset_source == {"train": f"{folder}/<user>/eeg/train.h5", "url": "https://data.example.org/eeg"}
    source = (copy.path / "environment/source/train.py").read_text()
    assert source == f"# ~/project/train.py\nDATA = '{folder}/<user>/eeg'\nprint('<host>')\n"
    assert (copy.path / "files/user_results.csv").read_text() == "subject,path\n1,~/eeg/1.edf\n"
    assert (copy.path / "files/notes of user.txt").exists()
    assert copy.read(layout.TRAIN_CONFIG).phases[0].callbacks[0].arguments["filepath"] == "~/check points/best.keras"
    assert "+open('~/eeg/2.edf')" in (copy.path / "environment/uncommitted.patch").read_text()
    assert copy.read(layout.SYSTEM).python.path[-1] == "/usr/lib/python3.11", "as on every machine"


@pytest.mark.parametrize(
    ("user", "host", "home"),
    [
        ("root", "cnn", "/root"),
        ("data", "data", None),
        ("ada", "gpu1", None),
        ("al", "pc", None),
        ("model", "dense", None),
        ("j.doe-2", "x" * 60, None),
    ],
)
def test_names_that_are_ordinary_words(user, host, home, tmp_path):
    """They go where such a name stands; the archive keeps its words, and stays whole."""
    run = told_run(tmp_path, user, host, home=home)
    copy = publish(run, tmp_path / "public", report=NO_FIGURES)
    home = home or f"/home/{user}"
    assert verify(copy.path, deep=True).is_whole
    assert copy.read(layout.RUN).process.host == "<host>"
    assert copy.read(layout.SYSTEM).machine.host_name == "<host>"
    for where, data in bytes_of(copy):
        assert not re.search(rb"(?<![\w#.;>])" + home.encode() + rb"(?![\w-])", data) or "schemas" in where, where
    logged = next(iter(copy.read(layout.RESULTS).logged.values()))
    assert copy.read(layout.WEIGHTS).variables[0].path == run.read(layout.WEIGHTS).variables[0].path
    assert f"@{host}" not in json.dumps(copy.read(layout.RESULTS).logged), logged
    (event,) = events_named(copy.journal.read(), "published")
    is_ordinary = user in ("root", "data", "al", "model")
    assert event.details["kept_names"] >= is_ordinary  # this machine's own names may be ordinary, too
    if not is_ordinary:
        assert not [where for where, data in bytes_of(copy) if re.search(rb"\b" + user.encode() + rb"\b", data)]


def test_a_run_named_after_its_user(tmp_path):
    run = told_run(tmp_path, name="adalovelace-cnn")
    copy = publish(run, tmp_path / "public", report=NO_FIGURES)
    assert copy.name == "user-cnn"
    assert copy.has(layout.CHECKPOINT_VARIABLES)
    assert copy.has(layout.KERAS_MODEL)
    (event,) = events_named(copy.journal.read(), "published")
    assert set(event.details["left_out_files"]) == {"files/blob.bin", "environment/uncommitted.patch"}
    assert Run.open(copy.path).name == "user-cnn"
    assert not [where for where, data in bytes_of(copy) if b"adalovelace" in data.lower()]
    assert verify(copy.path, deep=True).is_whole


def test_everything_can_be_left_out(tmp_path):
    run = told_run(tmp_path)
    copy = publish(run, tmp_path / "public", leave_out=list(CHOICES), report=NO_FIGURES)
    assert verify(copy.path, deep=True).findings == ()
    kept = {path.relative_to(copy.path).parts[0] for path in copy.path.rglob("*") if path.is_file()}
    assert "files" not in kept
    assert "traces" not in kept
    assert not copy.has(layout.PACKAGES)
    assert isinstance(copy.read(layout.GIT).repository, Unavailable)
    assert copy.read(layout.SOURCE).files == ()
    assert copy.read(layout.SOURCE).left_out_count == 1
    assert copy.read(layout.SYSTEM).environment == {}
    assert copy.read(layout.RUN).command.arguments == ("<left out>", "<left out>")
    assert not copy.has(layout.PATCH)
    again = publish(copy, tmp_path / "again", report=NO_FIGURES)
    assert verify(again.path).is_whole, "a copy of a copy"
    kept_all = publish(run, tmp_path / "kept", keep=DEFAULT, report=NO_FIGURES)
    assert kept_all.has(layout.PATCH)
    assert kept_all.read(layout.SYSTEM).environment["MASTER_ADDR"] == "<host>"


def test_texts_of_the_users_own_choice(tmp_path):
    run = tiny_run(tmp_path, "acme-secret", tested=True)
    copy = publish(run, tmp_path / "public", hide=["acme", "made up by"], report=NO_FIGURES)
    assert copy.name == "hidden-secret"
    for where, data in bytes_of(copy):
        assert b"acme" not in data.lower(), where
    assert (copy.path / "files/notes.txt").read_text() == "<hidden> archiver.testing\n"


def test_what_cannot_be_exported(tmp_path):
    run = tiny_run(tmp_path, sealed=False)
    with pytest.raises(RunStateError, match="not sealed"):
        publish(run, tmp_path / "public")
    (run.path / "files/token.txt").write_text(TOKEN)
    close_unfinished(run, report=NO_FIGURES, allow_secrets=True)
    with pytest.raises(SecretsFoundError, match=r"files/token\.txt:1"):
        publish(run, tmp_path / "public")
    copy = publish(run, tmp_path / "public", allow_secrets=True, report=NO_FIGURES)
    assert verify(copy.path).is_whole
    without = publish(run, tmp_path / "without", leave_out=["files"], report=NO_FIGURES)
    assert verify(without.path, secrets=True).is_whole
    with pytest.raises(ArgumentError, match="exists"):
        publish(run, tmp_path / "public", allow_secrets=True)
    for arguments in ({"leave_out": ["secrets"]}, {"keep": ["host"]}, {"keep": ["patch"], "leave_out": ["patch"]}):
        with pytest.raises(ArgumentError):
            publish(run, tmp_path / "other", **arguments)
    (run.path / "README.md").write_text("x")
    with pytest.raises(RunStateError, match="not as it was sealed"):
        publish(run, tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["public", "tiny_models", "without"]


def test_a_copy_in_which_something_is_left_is_not_made(tmp_path, monkeypatch):
    run = told_run(tmp_path)
    monkeypatch.setattr("archiver.export.replacing.Replacer.text", lambda _, text: text)
    with pytest.raises(PrivacyError, match="user name"):
        publish(run, tmp_path / "public", report=NO_FIGURES)
    assert not (tmp_path / "public").exists()
    assert not list(tmp_path.glob(".tmp-*"))


def test_a_model_whose_configuration_cannot_be_rewritten_is_left_out_and_said_so(tmp_path, monkeypatch):
    run = told_run(tmp_path)

    def fails(*_):
        raise ValueError("no")

    monkeypatch.setattr("archiver.export.public.rewrite_model", fails)
    copy = publish(run, tmp_path / "public", report=NO_FIGURES)
    assert verify(copy.path, deep=True).is_whole
    formats = copy.read(layout.WEIGHTS).formats
    assert formats["keras"].file is None
    assert "cannot be taken out of it (path, user name)" in formats["keras"].unavailable
    assert formats["weights.h5"].file


@pytest.mark.parametrize("arguments", [{"status": "failed"}, {"status": "interrupted"}, {"phases": 3, "tested": True}])
def test_runs_of_every_end(arguments, tmp_path):
    run = tiny_run(tmp_path, **arguments)
    copy = publish(run, tmp_path / "public", report=NO_FIGURES)
    assert verify(copy.path, deep=True).findings == ()
    assert copy.status.status == run.status.status
    assert copy.read(layout.RESULTS).timing == run.read(layout.RESULTS).timing


def test_a_large_file_is_searched_as_quickly_as_it_can_be(tmp_path, monkeypatch):
    monkeypatch.setattr("archiver.export.leaks.LARGE_BYTES", 30)
    run = told_run(tmp_path)
    copy = publish(run, tmp_path / "public", report=NO_FIGURES)
    (event,) = events_named(copy.journal.read(), "published")
    assert next(iter(event.details["left_out_files"])) == "environment/uncommitted.patch"
    assert "files/blob.bin" in event.details["left_out_files"]
    assert not [where for where, data in bytes_of(copy) if b"adalovelace" in data.lower()]


def test_the_command(tmp_path):
    run = tiny_run(tmp_path, figures=True)
    environment = os.environ | {"USER": "adalovelace"}

    def archiver(*arguments):
        command = [PROGRAM, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)

    result = archiver("export", run.path, "--public", "--output", "public", "--leave-out", "source, traces")
    assert (result.returncode, result.stderr) == (0, "")
    assert "environment, arguments, remote, patch, source, traces" in result.stdout
    assert re.search(r"seal id: [0-9a-f]{64}", result.stdout)
    assert "public copy" in archiver("show", "public").stdout
    refused = archiver("export", run.path, "--output", "x")
    assert refused.returncode == 2
    assert "--public" in refused.stderr
    assert list((tmp_path / "public" / "figures").iterdir())


def test_errors_are_those_of_archiver(tmp_path):
    assert issubclass(PrivacyError, ArchiverError)
    with pytest.raises(ArchiverError):
        publish(Run(tmp_path, "x"), tmp_path / "y")
