"""The environment of other people's validators, which `make standards` makes from requirements.txt beside this file."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / ".venv-standards"
PROGRAMS = FOLDER / "bin"


def needs_standards() -> None:
    """Skip where the environment was not made; on CI it must be there."""
    if not (PROGRAMS / "python").exists():
        assert not os.environ.get("CI"), "`make standards` makes the environment of the validators"
        pytest.skip("needs the validators: `make standards` installs them")


def run_program(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a program of that environment (`bagit.py`, `python`, ...) and wait; its output is text."""
    needs_standards()
    program, *others = arguments
    command = [str(PROGRAMS / program), *map(str, others)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, **options)  # type: ignore[call-overload]
