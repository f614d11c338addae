"""Writes `docs/reports/` anew: the reports of two examples, as they come out today: `make reports`."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
REPORTS = ROOT / "docs" / "reports"


def write_report(example: str, folder: Path) -> None:
    """Run a copy of an example in `folder`, which is in no repository, and keep its README and figures."""
    (folder / "examples").mkdir()
    shutil.copy(ROOT / "examples" / f"{example}.py", folder / "examples")
    command = [sys.executable, f"examples/{example}.py", "--root", "runs"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (run,) = (folder / "runs").iterdir()
    target = REPORTS / example
    shutil.rmtree(target)
    shutil.copytree(run / "figures", target / "figures")
    shutil.copy(run / "README.md", target)


if __name__ == "__main__":
    for report in sorted(REPORTS.iterdir()):
        with tempfile.TemporaryDirectory() as temporary:
            write_report(report.name, Path(temporary))
        print(report)
