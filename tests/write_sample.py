"""Writes the sample archive of the documentation anew: `make sample`, which trains examples/transfer_learning.py.

A clean clone is trained in, so that the commit is recorded; what lies in docs/sample/ is a public copy.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from archiver.archive.run import Run
from archiver.export.public import publish
from archiver.export.zipped import export_zip

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "sample"
PAGE = ROOT / "docs" / "sample.md"


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        clone, runs = Path(temporary, "archiver"), Path(temporary, "runs")
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        command = [sys.executable, "examples/transfer_learning.py", "--root", str(runs)]
        subprocess.run(command, cwd=clone, check=True, stdout=subprocess.DEVNULL)
        (run,) = runs.iterdir()
        public = publish(Run.open(run), Path(temporary, "public", run.name))
        target = FOLDER / f"{run.name}.zip"
        target.unlink(missing_ok=True)
        export_zip(public, target)
        seal_id = str(public.seal_id)
    text = re.sub(r"\b[0-9a-f]{64}\b", seal_id, PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(text, encoding="utf-8")
    print(f"{target}: {target.stat().st_size:,} bytes, seal id {seal_id}")


if __name__ == "__main__":
    main()
