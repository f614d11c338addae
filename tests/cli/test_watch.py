"""`archiver watch` in a real terminal (tmux), of a real training, and in pipes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from archiver.storage.journal import Journal
from archiver.testing import tiny_run
from tests.cli.terminals import PROGRAM, Tmux, needs_tmux, tmux_server, wait_for

TRAINING = str(Path(__file__).parent / "training.py")


def archiver(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    result = subprocess.run([PROGRAM, *map(str, words)], cwd=cwd, capture_output=True, text=True, check=False)
    assert "Traceback" not in result.stderr
    return result


@contextmanager
def training(folder: Path, tmux: Tmux, epochs: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, TRAINING, "runs", epochs, "0.2"]
    with subprocess.Popen(command, cwd=folder, env=tmux.environment, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


@needs_tmux
def test_a_training_is_watched_to_its_end(tmp_path):
    with tmux_server() as tmux:
        tmux("new-session", "-d", "-s", "watch", "-x", "100", "-y", "30", "sh")
        tmux("send-keys", "-t", "watch", f"cd {tmp_path}; {PROGRAM} watch --wait runs; echo code $?", "Enter")
        tmux.wait_for("watch", "waiting for a run in")
        with training(tmp_path, tmux, "4") as process:
            tmux.wait_for("watch", "watched", "running", "0 of 4", "memory", "first epoch since", "soft limit")
            tmux.wait_for("watch", "of 4", "left, until", "val_loss *", "4 steps an epoch")
            screen = tmux.wait_for("watch", "complete (epochs), sealed", "4 of 4", "code 0")
            assert process.wait() == 0
        assert "waiting for a run in" in screen  # the view left the terminal as it was


@needs_tmux
def test_a_killed_training_is_interrupted_and_ctrl_c_leaves_quietly(tmp_path):
    with tmux_server() as tmux:
        with training(tmp_path, tmux, "500") as process:
            wait_for((tmp_path / "runs" / "watched_models" / "journal.jsonl").exists)
            tmux("new-session", "-d", "-s", "watch", "-x", "80", "-y", "24", "sh")
            tmux("send-keys", "-t", "watch", f"cd {tmp_path}; {PROGRAM} watch runs; echo code $?", "Enter")
            tmux.wait_for("watch", "watched", "of 500")
            tmux("send-keys", "-t", "watch", "C-c")
            screen = tmux.wait_for("watch", "code 130")
            assert "Traceback" not in screen
            tmux("send-keys", "-t", "watch", f"clear; {PROGRAM} watch runs/watched_models; echo code $?", "Enter")
            tmux.wait_for("watch", "of 500", "left, until")
            process.send_signal(signal.SIGKILL)
            process.wait()
        tmux.wait_for("watch", "interrupted, not sealed", "its process is gone", "code 1")


def test_once_prints_one_picture(tmp_path):
    run = tiny_run(tmp_path, epochs=3)
    result = archiver("watch", "--once", run.path, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    for text in ("tiny  complete (epochs), sealed", "3 of 3", "val_loss *", "memory"):
        assert text in result.stdout
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize(
    ("status", "sealed", "code"), [("complete", True, 0), ("failed", True, 1), ("interrupted", False, 1)]
)
def test_the_exit_code_tells_how_the_run_ended(tmp_path, status, sealed, code):
    run = tiny_run(tmp_path, status=status, sealed=sealed)
    result = archiver("watch", run.path, cwd=tmp_path)
    assert result.returncode == code
    assert f"tiny  {status}" in result.stdout
    assert "epoch 2 of 2: val_loss" in result.stdout


def test_hostile_names_reach_no_pipe(tmp_path):
    run = tiny_run(tmp_path)
    Journal(run.path).append("epoch_ended", metrics={"\x1b[31mred\u202e[bold]": 1.0})
    Journal(run.path).append("warning", message="\x1b]0;title\x07 [red]x[/red]")
    for words in (("watch", run.path), ("watch", "--once", run.path)):
        result = archiver(*words, cwd=tmp_path)
        assert result.returncode == 0
        assert not {"\x1b", "\x07", "\u202e"} & set(result.stdout)
        assert "[red]x[/red]" in result.stdout


def test_a_line_under_way_waits_for_its_end(tmp_path):
    run = tiny_run(tmp_path, sealed=False, status="interrupted")
    with (run.path / "journal.jsonl").open("ab") as file:
        file.write(b'{"event":"warning","utc":"2026-')
    result = archiver("watch", "--once", run.path, cwd=tmp_path)
    assert result.returncode == 0
    assert "cannot be read" not in result.stdout


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("nowhere",), 4, "where there is nothing"),
        ((".",), 4, "a folder without"),
        (("--once", "--wait", "."), 2, "cannot --wait"),
        (("--process", "1", "."), 2, "needs --wait"),
        (("--wait", "--process", "0", "."), 2, "0"),
    ],
)
def test_bad_input(tmp_path, words, code, message):
    result = archiver("watch", *words, cwd=tmp_path)
    assert result.returncode == code
    assert message in result.stderr


def test_waiting_ends_with_the_process(tmp_path):
    with subprocess.Popen(["sleep", "600"]) as process:
        command = [PROGRAM, "watch", "--wait", "--process", str(process.pid), "runs"]
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment) as watch:
            assert watch.stdout.readline().startswith("waiting for a run in")
            process.kill()
            process.wait()
            assert watch.wait() == 0


def test_neither_keras_nor_tensorflow_is_imported(tmp_path):
    run = tiny_run(tmp_path)
    code = (
        f"import sys; sys.argv = ['archiver', 'watch', {str(run.path)!r}]\n"
        "from archiver.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0\n"
        "print(sorted({'keras', 'tensorflow', 'matplotlib', 'h5py', 'libtmux'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert result.stdout.endswith("[]\n")


def test_a_long_run_is_followed_from_its_end(tmp_path):
    """Ten thousand epochs: the second reading reads nothing but what is new."""
    from archiver.archive.following import FollowedRun

    run = tiny_run(tmp_path, sealed=False, status="running", epochs=1)
    path = run.path / "journal.jsonl"
    line = next(line for line in path.read_bytes().splitlines() if b'"epoch_ended"' in line)
    with path.open("ab") as file:
        file.write((line + b"\n") * 10_000)
    found = FollowedRun(run)
    while found.read():
        pass
    assert found.epochs_done == 10_001
    read = os.pread
    blocks = []
    try:
        os.pread = lambda descriptor, size, offset: blocks.append(read(descriptor, size, offset)) or blocks[-1]
        found.read()
        with path.open("ab") as file:
            file.write(line + b"\n")
        found.read()
    finally:
        os.pread = read
    assert sum(map(len, blocks)) == len(line) + 1
    assert found.epochs_done == 10_002
