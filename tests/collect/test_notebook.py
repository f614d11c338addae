"""The cells of a notebook, typed into a real IPython."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import archiver
from archiver import layout
from archiver.archive.run import Run
from archiver.collect.notebook import TypedCells, cell_script
from archiver.collect.redaction import redact_source
from archiver.records.base import Unavailable

TOKEN = "hf_" + "aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cD3f"

TRAIN = """model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
model.compile(keras.optimizers.SGD(rate), loss="mse")
x = np.zeros((8, 4), "float32")
history = model.fit(x, x[:, :1], epochs=1, verbose=0, callbacks=[archiver.RunArchiver("runs", name="a")])"""

CELLS = [
    "import keras, numpy as np\nimport archiver",
    f"%env HF_TOKEN={TOKEN}",
    "password = 'hunter2'\nrate = 0.5",
    "import helper",
    "rate = helper.RATE",
    "1 / 0",
    "   ",
    TRAIN,
    "print('afterwards')",
]

TYPE = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
cells, variables = json.load(sys.stdin)
shell.user_ns.update(variables)
for cell in cells:
    shell.run_cell(cell, store_history=True)
"""


def typed(folder: Path, cells: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PYTHONPATH": str(Path(archiver.__file__).parents[1]), "IPYTHONDIR": str(folder / ".ipython"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }  # fmt: skip
    text = json.dumps([cells, variables])
    command = [sys.executable, "-c", TYPE]
    return subprocess.run(command, cwd=folder, env=environment, input=text, capture_output=True, text=True, check=False)


def test_a_training_typed_into_ipython(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("RATE = 0.01\n")
    completed = typed(tmp_path, CELLS, __vsc_ipynb_file__="/notebooks/digits.ipynb")
    assert "afterwards" in completed.stdout, completed.stdout + completed.stderr
    run = Run.open(tmp_path / "runs" / "a_models")
    assert archiver.verify(run.path).is_whole
    record = run.read(layout.SOURCE)
    assert record.entry == "environment/source/notebook_cells.py"
    assert record.notebook is not None
    assert (record.notebook.cells, record.notebook.cell_count) == (record.entry, 7)
    assert (record.notebook.notebook, record.notebook.redacted) == ("/notebooks/digits.ipynb", True)
    assert {part.path: part.role for part in record.files} == {
        "environment/source/notebook_cells.py": "cells",
        "environment/source/helper.py": "module",
    }
    text = (run.path / record.entry).read_text()
    assert [line for line in text.splitlines() if line.startswith("# %%")] == [
        f"# %% [{number}]" for number in range(1, 8)
    ]
    for cell in (CELLS[0], CELLS[4], CELLS[7]):
        assert cell in text
    assert "password = '[redacted]'\nrate = 0.5" in text
    assert "afterwards" not in text, "what is typed later is no part of the training"
    everything = b"".join(path.read_bytes() for path in run.path.rglob("*") if path.is_file())
    assert TOKEN.encode() not in everything
    assert b"hunter2" not in everything
    assert "ipython" in run.read(layout.SYSTEM).machine.runs_in


def test_without_ipython_there_is_no_notebook(tmp_path: Path) -> None:
    from archiver.collect.source import copy_source

    assert copy_source(tmp_path / "a_models", tmp_path).notebook is None


def test_the_earliest_cells_go_first() -> None:
    cells = TypedCells(tuple((number, f"x = {number}") for number in range(1, 101)), Unavailable(unavailable="none"))
    script = cell_script(cells, maximal_bytes=200)
    assert len(script.text.encode()) <= 200
    assert script.left_out == 100 - script.text.count("# %%")
    assert script.text.endswith("# %% [100]\nx = 100\n")
    assert not script.redacted
    assert cell_script(cells).left_out == 0


@pytest.mark.parametrize(
    ("code", "redacted"),
    [
        ("api_key = 'abc'", "api_key = '[redacted]'"),
        ('os.environ["HF_TOKEN"] = "abc"', 'os.environ["HF_TOKEN"] = "[redacted]"'),
        ("wandb.login(key_id='a', api_key=\"abc\")", "wandb.login(key_id='a', api_key=\"[redacted]\")"),
        ("os.environ.setdefault('DB_PASSWORD', 'abc')", "os.environ.setdefault('DB_PASSWORD', '[redacted]')"),
        ("!pip install x --token abc", "!pip install x --token [redacted]"),
        ("%env WANDB_API_KEY=abc", "%env WANDB_API_KEY=[redacted]"),
        ("password = getpass.getpass()", "password = getpass.getpass()"),
        ("pad_token = '[PAD]'\ntokenizer = 'bert'", "pad_token = '[PAD]'\ntokenizer = 'bert'"),
        ("x = y % z\nif token == '': pass", "x = y % z\nif token == '': pass"),
    ],
)
def test_code_without_secrets(code: str, redacted: str) -> None:
    assert redact_source(code) == redacted
