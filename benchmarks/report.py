"""What the report of the demo costs: all figures and both documents, in a process that has the records, as sealing has.

What sealing imports for it (matplotlib, Jinja, Markdown, Pygments) counts; what training has imported does not.

    python -m benchmarks.report

Target: under 1.5 s in all.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.common import print_machine, print_table, spread

ROUNDS = 5

MEASURE = """
import sys, time
from archiver import Run
from archiver.report.context import read_records
from archiver.report.drawing import FIGURES, FIGURES_OF_FILES
from archiver.report.report import ReportOptions, render
run = Run.open(sys.argv[1])
records = read_records(run)
began, processor = time.perf_counter(), time.process_time()
drawn = [draw(records) for draw in FIGURES.values()] + [draw(run, records) for draw in FIGURES_OF_FILES.values()]
render(run, records, ReportOptions())
print(time.perf_counter() - began, time.process_time() - processor)
"""


def main() -> None:
    print_machine()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "examples/digits_cnn.py", "--root", folder], check=True, capture_output=True)
        (run,) = Path(folder).iterdir()
        command = [sys.executable, "-c", MEASURE, str(run)]
        outputs = [subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(ROUNDS)]
    wall, processor = zip(*([float(word) for word in output.split()] for output in outputs), strict=True)
    rows = [("time", spread(list(wall), " s")), ("processor time", spread(list(processor), " s"))]
    print_table("Figures and both documents of the demo, its imports included (target 1.5 s)", ("what", "cost"), rows)


if __name__ == "__main__":
    main()
