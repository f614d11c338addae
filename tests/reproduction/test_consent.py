"""Nothing of an archive runs without consent, and what is shown is what runs."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from archiver import layout
from archiver.archive.ownership import is_own, note_own, seals_file
from archiver.archive.run import Run
from archiver.errors import CannotReproduceError, FindingsError
from archiver.records.source import CommandPart, SourceFilePart
from archiver.reproduction.reproduction import Options, reproduce
from archiver.sealing import changing
from archiver.storage import files
from archiver.storage.digests import sha256_of
from archiver.testing import tiny_run

PROGRAM = str(Path(sys.executable).parent / "archiver")
WITNESS = b"import json, sys, os\njson.dump([sys.argv, sys.orig_argv, os.getcwd()], open(os.environ['WITNESS'], 'w'))\n"
ARGUMENTS = ("--x", "a b", "; touch $HOME/evil", "`id`", "$(id)", "*")


def with_program(run: Run, code: bytes = WITNESS, **command: object) -> Run:
    """The archive as if that program had made it."""
    part = {
        "start": "script", "target": "train.py", "arguments": ARGUMENTS, "interpreter": "/usr/bin/python3",
        "interpreter_options": (), "working_directory": "/nowhere/project", "redacted": False,
    }  # fmt: skip
    copy = SourceFilePart(
        path="environment/source/train.py", original_path="train.py", role="entry", size_bytes=len(code),
        sha256=sha256_of(code),
    )  # fmt: skip
    with changing(run):
        files.write_bytes(run.path / "environment" / "source" / "train.py", code)
        source = run.read(layout.SOURCE).model_copy(
            update={"files": (copy,), "root": "/nowhere/project", "entry": copy.path}
        )
        run.write(layout.SOURCE, source)
        record = run.read(layout.RUN).model_copy(update={"command": CommandPart(**(part | command))})
        run.write(layout.RUN, record)
    return run


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    monkeypatch.setenv("WITNESS", str(tmp_path / "witness"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return with_program(tiny_run(tmp_path / "runs"))


def archiver(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        [PROGRAM, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert "Traceback" not in result.stderr
    return result


def test_nothing_runs_without_consent(hostile, tmp_path):
    result = archiver("reproduce", hostile.path, cwd=tmp_path)
    assert result.returncode == 17
    assert "was not made by a training of yours" in result.stderr
    assert not (tmp_path / "witness").exists()
    assert not (tmp_path / "reproductions").exists()


@pytest.mark.parametrize("answer", [True, False])
def test_somebody_who_is_there_is_asked(hostile, tmp_path, answer):
    asked = []

    def ask(text):
        asked.append(text)
        assert not (tmp_path / "witness").exists()
        return answer

    with pytest.raises(CannotReproduceError, match="made no run" if answer else "you did not agree"):
        reproduce(hostile.path, Options(tmp_path / "again"), lambda line: None, ask)
    assert len(asked) == 1
    assert (tmp_path / "witness").exists() is answer


def test_the_command_that_is_shown_is_the_command_that_runs(hostile, tmp_path):
    result = archiver("reproduce", hostile.path, "--trust", cwd=tmp_path)
    assert result.returncode == 17
    assert "made no run named 'tiny'" in result.stderr
    arguments, words, folder = json.loads((tmp_path / "witness").read_text())
    lines = result.stdout.splitlines()
    shown = next(number for number, line in enumerate(lines) if line.startswith("command, in "))
    assert shlex.split(lines[shown + 1]) == words
    assert lines[shown] == f"command, in {folder}:"
    assert tuple(arguments[1:]) == ARGUMENTS
    assert not Path(os.path.expanduser("~/evil")).exists()


def test_the_tree_is_gone_afterwards_unless_it_is_kept(hostile, tmp_path):
    archiver("reproduce", hostile.path, "--trust", cwd=tmp_path)
    folder = Path(json.loads((tmp_path / "witness").read_text())[2])
    assert not folder.exists()
    result = archiver("reproduce", hostile.path, "--trust", "--keep", "--output", "b", cwd=tmp_path)
    folder = Path(json.loads((tmp_path / "witness").read_text())[2])
    assert (folder / "train.py").read_bytes() == WITNESS
    assert f"kept: {folder.parents[1]}" in result.stdout


def test_an_archive_that_is_not_whole_is_refused_first(hostile, tmp_path):
    (hostile.path / "environment" / "source" / "train.py").write_bytes(WITNESS + b"#")
    with pytest.raises(FindingsError):
        reproduce(hostile.path, Options(tmp_path / "again", trust=True), lambda line: None)
    assert not (tmp_path / "witness").exists()


def test_no_variable_of_an_archive_is_set_but_those_that_decide_bits(hostile, tmp_path):
    train = hostile.read(layout.TRAIN_CONFIG)
    phase = train.phases[0]
    environment = {"LD_PRELOAD": "/evil.so", "PYTHONSTARTUP": "/evil.py", "PYTHONHASHSEED": "7", "PATH": "/evil"}
    determinism = phase.determinism.model_copy(update={"environment": environment})
    with changing(hostile):
        phases = (phase.model_copy(update={"determinism": determinism}),)
        hostile.write(layout.TRAIN_CONFIG, train.model_copy(update={"phases": phases}))
    lines = []
    with pytest.raises(CannotReproduceError):
        reproduce(hostile.path, Options(tmp_path / "again"), lines.append)
    assert [line for line in lines if line.startswith("set: ")] == ["set: PYTHONHASHSEED=7"]
    assert "evil.so" not in "".join(lines)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ({"redacted": True}, "secrets were taken out"),
        ({"start": "standard_input", "target": None}, "read from standard input"),
        ({"start": "interactive", "target": None}, "typed at a prompt"),
        ({"target": "/opt/environment/bin/program"}, "the installed program program"),
    ],
)
def test_what_is_missing_is_named(tmp_path, command, reason):
    run = with_program(tiny_run(tmp_path), **command)
    with pytest.raises(CannotReproduceError, match=reason):
        reproduce(run.path, Options(tmp_path / "again", trust=True), lambda line: None)


def test_copies_do_not_leave_the_tree(hostile, tmp_path):
    source = hostile.read(layout.SOURCE)
    part = source.files[0].model_copy(update={"path": "environment/source/../../../escaped.py"})
    with changing(hostile):
        hostile.write(layout.SOURCE, source.model_copy(update={"files": (part,)}))
    with pytest.raises(Exception, match=r"escaped\.py|record"):
        reproduce(hostile.path, Options(tmp_path / "again", trust=True), lambda line: None)
    assert not (tmp_path / "witness").exists()


def test_the_output_is_a_folder_of_its_own(hostile, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    for store, reason in ((tmp_path / "full", "is not empty"), (hostile.path / "files" / "new", "lies in an archive")):
        result = archiver("reproduce", hostile.path, "--trust", "--output", store, cwd=tmp_path)
        assert (result.returncode, reason in result.stderr) == (7, True)
    result = archiver("reproduce", ".", "--trust", cwd=hostile.path)
    assert result.returncode == 17
    assert not (hostile.path / "reproductions").exists()


def test_own_seals_are_those_that_this_user_noted(hostile):
    assert not is_own(hostile.seal_id)
    note_own(hostile.seal_id)
    assert is_own(hostile.seal_id)
    assert not is_own("0" * 64)
    assert not is_own(hostile.seal_id[:10])
    os.chmod(seals_file(), 0o666)
    assert not is_own(hostile.seal_id)


def test_an_own_archive_runs_without_a_question_and_a_changed_one_does_not(hostile, tmp_path):
    note_own(hostile.seal_id)
    with pytest.raises(CannotReproduceError, match="made no run"):
        reproduce(hostile.path, Options(tmp_path / "again"), lambda line: None)
    assert (tmp_path / "witness").exists()
    with_program(hostile, WITNESS + b"# resealed by a stranger\n")
    with pytest.raises(CannotReproduceError, match="not made by a training of yours"):
        reproduce(hostile.path, Options(tmp_path / "again2"), lambda line: None)
