"""The bar of `verify` and `finalize`: on a terminal, after a second, and never in what they print."""

import subprocess
import sys

from archiver.testing import tiny_run
from tests.cli.terminals import PROGRAM, on_a_terminal

SLOW = """
import sys, time
from archiver import progress
from archiver.progress import DelayedBar
progress.PATIENCE_SECONDS = float(sys.argv[1])
with DelayedBar("checking", 2) as bar:
    bar.advance(1)
    time.sleep(float(sys.argv[2]))
print("done")
"""


def test_a_bar_is_shown_only_when_it_takes_long(tmp_path):
    for patience, seconds, is_shown in (("0.05", "1", True), ("60", "0", False)):
        code, printed, shown = on_a_terminal([sys.executable, "-c", SLOW, patience, seconds], tmp_path)
        assert (code, printed) == (0, "done\n")
        assert ("checking" in shown) == is_shown


def test_without_a_terminal_there_is_none(tmp_path):
    command = [sys.executable, "-c", SLOW, "0.01", "0.3"]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert (result.stdout, result.stderr) == ("done\n", "")


def test_what_verify_and_finalize_print_is_the_same_on_a_terminal(tmp_path):
    run = tiny_run(tmp_path, sealed=False)
    code, printed, _ = on_a_terminal([PROGRAM, "finalize", str(run.path)], tmp_path)
    assert code == 0
    assert printed.splitlines()[0].endswith("_models: complete (epochs), sealed")
    command = [PROGRAM, "verify", str(run.path)]
    plain = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert plain.stderr == ""
    code, printed, _ = on_a_terminal(command, tmp_path)
    assert (code, printed) == (0, plain.stdout)
