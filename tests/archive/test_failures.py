"""Where an exception happened, as the archive tells it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from archiver.archive.failures import exception_part


def raised_in(path: Path, code: str, **names: object) -> BaseException:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code)
    try:
        exec(compile(code, path, "exec"), dict(names))
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize("name", ["keras", "tensorflow", "torch", "archiver"])
def test_a_folder_of_the_users_own_may_bear_the_name_of_a_library(name: str, tmp_path: Path) -> None:
    error = raised_in(tmp_path / name / "train.py", "\n\nraise ValueError('mine')\n")
    assert exception_part(error).location == "train.py:3"


def test_lines_of_a_library_are_passed_over(tmp_path: Path) -> None:
    import keras

    assert "keras" in sys.modules
    error = raised_in(tmp_path / "train.py", "\nkeras.layers.Dense(-1)\n", keras=keras)
    assert exception_part(error).location == "train.py:2"
