"""`archiver launch` with the real tmux: panes, log, exit codes, arguments as they were given."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from archiver.cli.launched import plain_line
from tests.cli.terminals import PROGRAM, Tmux, needs_tmux, tmux_server

TRAINING = str(Path(__file__).parent / "training.py")
HOSTILE = [
    "a b", "it's", '"q"', "$HOME", "`id`", "$(touch pwned)", ";", "x;", "ü", "", "#{pane_id}", "--help", "\\", "*",
]  # fmt: skip


@pytest.fixture
def tmux():
    with tmux_server() as server:
        yield server


def launch(tmux: Tmux, folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        [PROGRAM, "launch", *words], cwd=folder, env=tmux.environment | environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert "Traceback" not in result.stderr
    return result


def log_of(result: subprocess.CompletedProcess[str]) -> Path:
    return Path(re.search("^log: (.*)$", result.stdout, re.MULTILINE)[1])


@needs_tmux
def test_a_training_is_launched_watched_and_logged(tmp_path, tmux):
    words = ["--session", "digits", "--", sys.executable, TRAINING, "runs", "3", "0.2", *HOSTILE]
    result = launch(tmux, tmp_path, *words, SOME_TOKEN="hunter2")
    assert (result.returncode, result.stderr) == (0, "")
    assert "attach: tmux attach -t digits" in result.stdout
    tmux.wait_for("digits.1", "watched", "of 3")
    tmux.wait_for("digits.1", "complete (epochs), sealed", "3 of 3")
    tmux.wait_for("digits.0", "ended with exit code 0")
    assert tmux("show-options", "-wqv", "-t", "digits:", "remain-on-exit").strip() == "on"
    lines = log_of(result).read_text(encoding="utf-8").splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ", line) for line in lines)
    assert "ended with exit code 0" in lines[-1]
    # The environment came through, and stands nowhere.
    assert any(f"arguments: {HOSTILE!r} secret: 7" in line for line in lines), lines
    commands = tmux("list-panes", "-s", "-t", "digits", "-F", "#{pane_start_command}")
    assert "hunter2" not in commands + "\n".join(lines)
    assert not (tmp_path / "pwned").exists()
    assert log_of(result).stat().st_mode & 0o077 == 0


@needs_tmux
def test_exit_codes_and_signals_are_shown(tmp_path, tmux):
    for session, script, ending in (
        ("three", "echo said; exit 3", "exit code 3"),
        ("nine", "kill -9 $$", "signal SIGKILL"),
    ):
        result = launch(tmux, tmp_path, "--session", session, "sh", "-c", script)
        assert result.returncode == 0
        tmux.wait_for(f"{session}.0", f"ended with {ending}")
        assert f"ended with {ending}" in log_of(result).read_text()


@needs_tmux
def test_a_name_that_is_taken_is_refused_and_the_session_lives_on(tmp_path, tmux):
    assert launch(tmux, tmp_path, "--session", "taken", "--", "sleep", "60").returncode == 0
    result = launch(tmux, tmp_path, "--session", "taken", "--", "sleep", "60")
    assert result.returncode == 7
    assert "tmux attach -t taken" in result.stderr
    assert tmux("list-sessions", "-F", "#{session_name}").split() == ["taken"]


@needs_tmux
def test_keys_reach_the_command(tmp_path, tmux):
    result = launch(tmux, tmp_path, "--session", "keys", "--", "cat")
    tmux("send-keys", "-t", "keys.0", "hello", "Enter")
    tmux.wait_for("keys.0", "hello\nhello")  # the terminal's echo, and what the command wrote
    tmux("send-keys", "-t", "keys.0", "C-c")
    tmux.wait_for("keys.0", "ended with signal SIGINT")
    assert "hello" in log_of(result).read_text()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), 2, "no COMMAND was given"),
        (("--", "no-such-program-at-all"), 2, "no-such-program-at-all"),
        (("--session", "a:b", "--", "true"), 2, "a:b"),
        (("--session", "-t", "--", "true"), 2, "-t"),
        (("--frobnicate", "--", "true"), 2, "--frobnicate"),
    ],
)
def test_bad_input(tmp_path, words, code, message):
    result = subprocess.run([PROGRAM, "launch", *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == code
    assert message in result.stderr
    assert os.listdir(tmp_path) == []


def test_without_tmux_or_libtmux_it_says_what_to_install(tmp_path):
    (tmp_path / "true").symlink_to("/bin/true")
    environment = os.environ | {"PATH": str(tmp_path)}
    command = [PROGRAM, "launch", "--", "true"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 9
    assert "apt install tmux" in result.stderr
    code = (
        "import sys; sys.modules['libtmux'] = None; sys.argv = ['archiver', 'launch', 'true']\n"
        "from archiver.cli.main import main\nmain()"
    )
    (tmp_path / "tmux").symlink_to("/bin/true")
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert result.returncode == 9
    assert 'pip install "keras-archiver[launch]"' in result.stderr


@pytest.mark.parametrize(
    ("line", "plain"),
    [
        (b"plain\r", "plain"),
        (b"\x1b[1m1/8\x1b[0m \r2/8\r8/8 done\r", "8/8 done"),
        (b"12%\x08\x08\x0899%", "99%"),
        (b"\x1b]0;title\x07text\x1b]8;;http://x\x1b\\link", "textlink"),
        (b"a\tb \xff\x00\x9b", "a    b \ufffd\ufffd\ufffd"),
        ("\u202eleft".encode(), "\ufffdleft"),
    ],
)
def test_a_line_of_the_log_is_what_was_seen_last(line, plain):
    assert plain_line(line) == plain
