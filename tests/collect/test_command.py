"""The command as it is recorded, checked against what Python itself was started with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from archiver.collect.command import ParsedCommand, parse_command
from archiver.records.source import CommandPart

REPORT = "from archiver.collect.command import collect_command as c; print(c().model_dump_json(by_alias=True))"


def recorded(*arguments: str, cwd: Path, text: str | None = None) -> CommandPart:
    environment = os.environ | {"HOME": str(cwd)}
    completed = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd, env=environment, input=text, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return CommandPart.model_validate_json(completed.stdout)


def test_a_script_with_options_and_secrets(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "train.py").write_text(f"import sys; sys.argv[:] = ['changed']\n{REPORT}\n")
    command = recorded(
        "-u", "-W", "ignore", "-Xdev", "work/train.py", "--lr", "0.1", "--token", "hunter2", f"--out={tmp_path}/x",
        cwd=tmp_path,
    )  # fmt: skip
    assert command.start == "script"
    assert command.target == "work/train.py"
    assert command.arguments == ("--lr", "0.1", "--token", "[redacted]", "--out=~/x")
    assert command.interpreter_options == ("-u", "-W", "ignore", "-Xdev")
    assert command.interpreter == sys.executable
    assert command.working_directory == "~"
    assert command.redacted


def test_a_module(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "train.py").write_text(REPORT)
    command = recorded("-m", "pkg.train", "--epochs=3", cwd=tmp_path)
    assert (command.start, command.target, command.arguments) == ("module", "pkg.train", ("--epochs=3",))
    assert not command.redacted


def test_code(tmp_path: Path) -> None:
    command = recorded("-c", REPORT, "a", cwd=tmp_path)
    assert (command.start, command.target, command.arguments) == ("code", REPORT, ("a",))


def test_standard_input(tmp_path: Path) -> None:
    assert recorded(cwd=tmp_path, text=REPORT).start == "standard_input"
    assert recorded("-", "x", cwd=tmp_path, text=REPORT).arguments == ("x",)


def test_a_working_directory_that_is_gone(tmp_path: Path) -> None:
    code = f"import os; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone'); {REPORT}"
    assert "gone" in recorded("-c", code, cwd=tmp_path).working_directory.unavailable  # type: ignore[union-attr]


def test_arguments_that_are_no_text(tmp_path: Path) -> None:
    completed = subprocess.run(
        [sys.executable, "-c", REPORT, b"\xff\xfe"], cwd=tmp_path, check=True, capture_output=True
    )
    assert CommandPart.model_validate_json(completed.stdout).arguments == ("\\udcff\\udcfe",)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("python", ParsedCommand((), "standard_input", None, ())),
        ("python a.py -m x", ParsedCommand((), "script", "a.py", ("-m", "x"))),
        ("python -Bc pass z", ParsedCommand(("-B",), "code", "pass", ("z",))),
        ("python -OOmtimeit -n 3", ParsedCommand(("-OO",), "module", "timeit", ("-n", "3"))),
        ("python -uWerror x.py", ParsedCommand(("-uWerror",), "script", "x.py", ())),
        ("python -uW error x.py", ParsedCommand(("-uW", "error"), "script", "x.py", ())),
        ("python -I -Wc x.py", ParsedCommand(("-I", "-Wc"), "script", "x.py", ())),
        ("python --check-hash-based-pycs always x.py",
         ParsedCommand(("--check-hash-based-pycs", "always"), "script", "x.py", ())),
        ("python -X frozen_modules=off -m m", ParsedCommand(("-X", "frozen_modules=off"), "module", "m", ())),
    ],
)  # fmt: skip
def test_parsing(line: str, expected: ParsedCommand) -> None:
    assert parse_command(line.split()) == expected
