"""`archiver diff` as a user types it."""

import json
import re
from dataclasses import dataclass

import pytest

from archiver import layout
from archiver.cli.main import main
from archiver.storage.digests import sha256_of
from archiver.testing import tiny_run
from tests.archive.resealing import edit_json
from tests.cli.test_commands import archiver as in_a_process

SCRIPT = "<script>alert(1)</script>"
HOSTILE = f"\x1b[31mred\u202e {SCRIPT} [bold]x[/bold] |`*"


@dataclass
class Ended:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def archiver(capsys, monkeypatch):
    """The command line in this process, which saves its start."""

    def run(*arguments, cwd):
        monkeypatch.chdir(cwd)
        with pytest.raises(SystemExit) as ended:
            main([str(each) for each in arguments])
        return Ended(ended.value.code, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    tiny_run(root, "a", epochs=3)
    tiny_run(root, "same", epochs=3)
    other = tiny_run(root, "b", epochs=4)
    source = f"import keras\n\n```\n{SCRIPT}\nprint('\x1b[31m')\r\n".encode()
    (other.path / "environment/source/train.py").write_bytes(source)
    edit_json(other.path_of(layout.SOURCE), lambda d: d["files"][0].update(sha256=sha256_of(source)))
    edit_json(other.path_of(layout.TRAIN_CONFIG), lambda d: d["phases"][0].update(hyperparameters={HOSTILE: HOSTILE}))
    return root


def test_same_runs_end_with_0(runs):
    result = in_a_process("diff", "a_models", "same_models", cwd=runs)
    assert result.returncode == 0
    assert re.search(r"verdict +identical", result.stdout)
    assert "nothing that is compared" in result.stdout
    assert in_a_process("diff", "a_models", "a_models", cwd=runs).returncode == 0


def test_different_runs_end_with_1_and_say_why(archiver, runs):
    result = archiver("diff", "a_models", "b_models", cwd=runs)
    assert result.returncode == 1
    text = result.stdout
    assert re.search(r"verdict +diverged: 3 epochs, and 4", text)
    assert re.search(r"\d\. configuration: epochs: 3 → 4", text)
    assert text.index("Candidate causes") < text.index("Effects") < text.index("\nCode")
    assert "-print('made up by archiver.testing')" in text
    assert "relative distance" in text


def test_what_strangers_wrote_moves_no_cursor_and_is_no_markup(archiver, runs):
    text = archiver("diff", "a_models", "b_models", cwd=runs).stdout
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[bold]x[/bold]" in text.replace("\n", "")


def test_json_has_everything(archiver, runs):
    result = archiver("diff", "--format", "json", "a_models", "b_models", cwd=runs)
    found = json.loads(result.stdout)
    assert result.returncode == 1
    assert result.stdout.isascii()
    assert found["differs"] is True
    assert found["format_version"] == 1
    assert found["verdict"]["outcome"] == "diverged"
    assert [cause["subject"] for cause in found["causes"]][1] == "epochs"
    assert found["code"][0]["diff"][0] == "--- train.py"
    assert found["effects"]["weights"]["layers"][0]["distance"]["relative"] > 0


def test_html_is_one_page_without_scripts_of_strangers(archiver, runs, tmp_path):
    result = archiver("diff", "--format", "html", "--output", tmp_path / "page.html", "a_models", "b_models", cwd=runs)
    assert (result.returncode, result.stdout) == (1, "")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert SCRIPT not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 2
    assert page.count("<script>") == 1
    assert "default-src 'none'" in page
    assert page.count("data:image/svg+xml;base64,") >= 2
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "\x1b" not in page


def test_text_goes_to_a_file_too(archiver, runs, tmp_path):
    archiver("diff", "--output", tmp_path / "out.txt", "a_models", "b_models", cwd=runs)
    assert "Candidate causes" in (tmp_path / "out.txt").read_text(encoding="utf-8")


def test_tolerances_and_tensors(archiver, runs):
    loose = archiver("diff", "--tolerance", "0.5", "a_models", "same_models", cwd=runs)
    assert "0.5 relative" in loose.stdout
    unread = archiver("diff", "--no-tensors", "a_models", "b_models", cwd=runs)
    assert "unknown" in unread.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("nowhere", "a_models"), 4, "nothing"),
        (("a_models", "."), 4, "It holds 3 runs"),
        (("a_models",), 2, "Missing argument 'B'"),
        (("--tolerance", "-1", "a_models", "b_models"), 2, "Received a tolerance relative=-1.0"),
        (("--format", "yaml", "a_models", "b_models"), 2, "yaml"),
        (("--output", "a_models", "a_models", "b_models"), 2, "is a directory"),
    ],
)
def test_bad_input_is_one_message(archiver, runs, arguments, code, message):
    result = archiver("diff", *arguments, cwd=runs)
    assert result.returncode == code
    assert message in result.stderr
