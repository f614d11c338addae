"""The cells of a notebook as a program: what only IPython understands is translated, or named."""

import subprocess
import sys

import pytest

from archiver.collect.notebook import TypedCells, cell_script
from archiver.records.base import Unavailable
from archiver.reproduction.cells import cells_of, obstacles, translated

NOWHERE = Unavailable(unavailable="typed by a test")


@pytest.mark.parametrize(
    ("line", "python"),
    [
        ("%matplotlib inline", "pass"),
        ("    %time x = f(1)", "    x = f(1)"),
        ("%env A=b c", "__import__('os').environ['A'] = 'b c'"),
        ("%cd /data", "__import__('os').chdir(__import__('os').path.expanduser('/data'))"),
        ("!pip install numpy", "pass"),
        ("%pip install numpy", "pass"),
        ("keras.Model?", "pass"),
        ("x = 5", "x = 5"),
    ],
)
def test_a_line_is_translated(line, python):
    assert translated([line, "%who"]) == ([python, "pass"], [])


@pytest.mark.parametrize("line", ["!wget https://example.org/x", "files = !ls", "%run other.py", "x = %store y"])
def test_what_has_no_meaning_in_python_is_named(line):
    assert translated(["if True:", f"    {line}"]) == (["if True:", "    pass"], [line])


def test_a_cell_for_another_interpreter_is_left_out_as_a_whole():
    assert translated(["", "%%bash", "rm -r x"]) == ([""] * 3, ["%%bash"])
    assert translated(["%%time", "x = 1"]) == (["", "x = 1"], [])


def test_python_that_looks_like_a_magic_stays():
    lines = ["x = (7", "%4)", 's = """', "!not a command", '"""']
    assert translated(lines) == (lines, [])


def test_the_recorded_script_gives_the_cells_back():
    sources = ((1, "a = 1\n\nb = 2"), (2, "!echo"), (2, "c = 3"))
    text = cell_script(TypedCells(sources, NOWHERE)).text
    found = list(cells_of(text))
    assert ["\n".join(lines).strip() for _, lines in found] == [source for _, source in sources]
    lines = text.splitlines()
    assert all(lines[first - 1] == cell[0] for first, cell in found)
    assert obstacles(text) == ["!echo"]


def test_cells_run_as_in_the_notebook(tmp_path):
    """One that fails does not keep the next from running; lines are those of the file."""
    sources = (
        (1, "import sys, os"),
        (2, "before = 1\nraise KeyError('x')"),
        (3, "%env A_B=1 2"),
        (4, "!uname"),
        (5, "print(before, os.environ['A_B'], __name__, __file__)\ndisplay(before)"),
    )
    (tmp_path / "cells.py").write_text(cell_script(TypedCells(sources, NOWHERE)).text)
    command = [sys.executable, "-m", "archiver.reproduction.cells", "cells.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "1 1 2 __main__ cells.py\n1\n")
    assert 'File "cells.py", line 6' in done.stderr
    assert "left out, since it is no Python: !uname" in done.stderr


def test_cells_as_ipython_keeps_them_run_too(tmp_path):
    """With `%magic` and `!command` already made calls of its shell."""
    shell = "get_ipython()."
    cells = (
        f"{shell}run_line_magic('matplotlib', 'inline')",
        f"{shell}run_line_magic('time', 'x = 3')",
        f"y = {shell}run_line_magic('time', 'x + 1')",
        f"{shell}run_line_magic('env', 'A=b')",
        f"{shell}run_cell_magic('time', '', 'z = y + 1\\n')",
        f"{shell}run_cell_magic('bash', '', 'rm x\\n')",
        f"{shell}system('touch evil')",
        f"{shell}system('pip install x')",
        f"files = {shell}getoutput('ls')",
        "import os\nprint(x, y, z, os.environ['A'], files)",
    )
    text = cell_script(TypedCells(tuple(enumerate(cells)), NOWHERE)).text
    assert obstacles(text) == ["%%bash", "!touch evil", "!ls"]
    (tmp_path / "cells.py").write_text(text)
    command = [sys.executable, "-m", "archiver.reproduction.cells", "cells.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "3 4 5 b []\n"), done.stderr
    assert not (tmp_path / "evil").exists()
    assert done.stderr.count("left out") == 3
