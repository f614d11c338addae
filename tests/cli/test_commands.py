"""The commands as a user types them, in processes of their own."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from archiver.archive.schemas import SCHEMA_KINDS, schema_text
from archiver.testing import tiny_run

PROGRAM = str(Path(sys.executable).parent / "archiver")


def archiver(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    result = subprocess.run([PROGRAM, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False)
    assert "Traceback" not in result.stderr
    return result


def test_help_lists_every_command_and_imports_nothing_heavy(tmp_path):
    code = (
        "import sys; sys.argv = ['archiver', '--help']\n"
        "from archiver.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'pydantic', 'numpy', 'rich', 'h5py', 'keras', 'tensorflow', 'git', 'jinja2', 'psutil'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert result.stdout.endswith("[]\n")
    for command in ("verify", "show", "finalize", "schema"):
        assert f"  {command} " in result.stdout
        assert "Example:" in archiver(command, "--help", cwd=tmp_path).stdout


def test_show_fits_one_screen_and_says_what_a_reader_asks(tmp_path):
    run = tiny_run(tmp_path, tested=True)
    result = archiver("show", run.path, cwd=tmp_path)
    assert result.returncode == 0
    assert len(result.stdout.splitlines()) <= 30
    facts = ("test", "data", "model", "machine", "generalisation", "304.0 MiB of 8.0 GiB")
    for fact in (run.name, "complete (epochs), sealed", run.seal_id, *facts):
        assert fact in result.stdout, fact


def test_show_says_what_to_watch_out_for(tmp_path):
    run = tiny_run(tmp_path)
    result = archiver("show", run.path, cwd=tmp_path)
    assert "watch out" in result.stdout
    shown = " ".join(result.stdout.split())
    assert "not tested: no test data was given (archive.finalize(test_data=...))" in shown


def test_show_of_hostile_text_has_no_control_characters(tmp_path):
    run = tiny_run(tmp_path, sealed=False)
    path = next(run.path.glob("configs/*_run.json"))
    path.write_text(path.read_text().replace('"tags": [', '"tags": ["\\u001b[31mred",', 1).replace(",\n  ]", "\n  ]"))
    result = archiver("show", run.path, cwd=tmp_path)
    assert "\x1b[31m" not in result.stdout


def test_show_of_a_broken_record_says_so_and_shows_the_rest(tmp_path):
    run = tiny_run(tmp_path)
    next(run.path.glob("results/*_results.json")).write_text("{")
    result = archiver("show", run.path, cwd=tmp_path)
    assert result.returncode == 0
    assert "cannot be read" in result.stdout
    assert "machine" in result.stdout


def test_finalize_seals_once(tmp_path):
    run = tiny_run(tmp_path, sealed=False)
    first = archiver("finalize", run.path, cwd=tmp_path)
    assert first.returncode == 0
    seal_id = re.search(r"seal id: ([0-9a-f]{64})", first.stdout)[1]
    assert run.seal_id == seal_id
    second = archiver("finalize", run.path, cwd=tmp_path)
    assert "was sealed already" in second.stdout
    assert seal_id in second.stdout


def test_resume_asks_nothing_of_a_run_that_is_trained_just_now(tmp_path):
    run = tiny_run(tmp_path, sealed=False, status="running")  # by this process, which is alive
    result = archiver("resume", run.path, cwd=tmp_path)
    assert result.returncode == 7
    assert "the training is still running" in result.stderr
    assert "Run this program?" not in result.stdout


def test_verify_says_how_an_unsealed_run_is_sealed(tmp_path):
    run = tiny_run(tmp_path, "ended", sealed=False, status="failed")
    assert "`archiver finalize` seals what is there" in archiver("verify", run.path, cwd=tmp_path).stdout
    run = tiny_run(tmp_path, "going", sealed=False, status="running")
    assert "the run is running" in archiver("verify", run.path, cwd=tmp_path).stdout
    assert "`archiver finalize`" not in archiver("verify", run.path, cwd=tmp_path).stdout


def test_schema_prints_what_is_committed(tmp_path):
    assert archiver("schema", cwd=tmp_path).stdout.split() == list(SCHEMA_KINDS)
    printed = archiver("schema", "history", cwd=tmp_path).stdout
    assert printed == schema_text("history")
    assert json.loads(printed)["title"] == "History"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("show", "nowhere"), 4, "where there is nothing. Expected the folder of a run"),
        (("show", "file"), 4, "where there is a file"),
        (("finalize", "."), 4, "a folder without"),
        (("verify", "nowhere"), 4, "nothing"),
        (("verify",), 2, "RUN"),
        (("verify", "--hash", "crc32", "."), 2, "crc32"),
        (("schema", "nothing"), 2, "expected one of"),
        (("frobnicate",), 2, "No such command"),
        (("show", "a", "b"), 2, "unexpected extra argument"),
    ],
)
def test_bad_input_is_one_message_and_an_exit_code(arguments, code, message, tmp_path):
    (tmp_path / "file").write_text("x")
    result = archiver(*arguments, cwd=tmp_path)
    assert result.returncode == code
    assert message in result.stderr
