"""An archive of the second stage is run again as the search that it belongs to."""

import subprocess
import sys

from archiver import layout
from archiver.archive.run import Run
from archiver.ensemble import Ensemble
from archiver.records.source import CommandPart
from tests.reproduction.trainings import again, quiet

SCRIPT = """
import sys
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier
import settings
from archiver.ensemble import StageTwo, hill_climb

generator = np.random.default_rng(0)
x = generator.normal(size=(120, 3))
y = (x.sum(axis=1) + generator.normal(scale=settings.NOISE, size=120) > 0).astype(int)
candidates = {"forest": RandomForestClassifier(5), "stump": DecisionTreeClassifier(max_depth=1)}
parts = {"train": (x[:50], y[:50]), "selection": (x[50:], y[50:])}
hill_climb("runs", name="two", candidates=candidates, **parts, stage_two=StageTwo(epochs=1), n_jobs=int(sys.argv[1]))
"""


def test_the_whole_search_is_run_again_and_the_same_network_comes_out(tmp_path):
    """The forest has no seed of its own, and both candidates are trained at once."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "search.py").write_text(SCRIPT)
    (folder / "settings.py").write_text("NOISE = 0.3\n")
    command = [sys.executable, "search.py", "2"]
    made = subprocess.run(command, cwd=folder, env=quiet(), capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr[-2000:]
    original = Run.open(folder / "runs" / "two_stage2_0000_models")
    told = original.read(layout.RUN).command
    assert isinstance(told, CommandPart)
    assert (told.start, told.target, told.arguments) == ("script", "search.py", ("2",))
    roles = {part.original_path: part.role for part in original.read(layout.SOURCE).files}
    assert roles == {"search.py": "entry", "settings.py": "module"}
    done, _ = again(original, tmp_path / "again")
    assert (done.repetition.path, done.record.verdict.judgement) == (
        tmp_path / "again" / original.path.name,
        "identical",
    )
    assert done.repetition.read(layout.RUN).redirected_from == "runs"
    first, second = (Ensemble.open(store / "two_ensemble") for store in (folder / "runs", tmp_path / "again"))
    assert [line.score for line in first.iterations] == [line.score for line in second.iterations]
    assert first.members == second.members == {"forest": 1}
