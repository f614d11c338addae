"""Writes the golden archives of this release: `python -m tests.write_golden`, once, when a release is made.

Each is a zip file of an archive that a real training left, in `tests/golden/<release>/`. What is there is never written
anew: every later version must read and verify it as it is. The schemas in them go into `schemas/released.json`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from archiver._resources import resource_folder
from archiver.archive.schemas import RELEASED
from archiver.layout import JOURNAL
from archiver.storage.digests import sha256_of
from archiver.version import __version__

FOLDER = Path(__file__).parent / "golden" / __version__
SCRIPTS = Path(__file__).parent / "golden_scripts"
ENDINGS = {"tested": 0, "phases": 0, "failed": 1, "killed": -9}
"""By script: the exit code with which it ends."""
ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def make(name: str, root: Path) -> Path:
    """The archive that a script leaves, sealed."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    script = SCRIPTS / f"{name}.py"
    done = subprocess.run([sys.executable, script, root], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == ENDINGS[name], done.stderr
    (folder,) = root.glob(f"{name}*_models")
    subprocess.run([sys.executable, "-m", "archiver", "finalize", folder], check=True)
    return folder


def pack(folder: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "x", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                info = zipfile.ZipInfo(path.relative_to(folder.parent).as_posix(), ZIP_TIME)
                archive.writestr(info, path.read_bytes(), zipfile.ZIP_DEFLATED, 9)


def add_schemas(folder: Path) -> None:
    """The schemas of an archive, in the list of those that a release wrote."""
    listed = resource_folder("schemas") / RELEASED
    known = json.loads(listed.read_bytes())
    for path in sorted((folder / "schemas").iterdir()):
        kind = path.name.removesuffix(".schema.json")
        known.setdefault(kind, {}).setdefault(sha256_of(path.read_bytes()), __version__)
    listed.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def write_sums() -> None:
    """For the test that what is there does not change; `sha256sum -c` reads it."""
    paths = sorted(FOLDER.parent.glob("*/*.zip"))
    lines = [f"{sha256_of(path.read_bytes())}  {path.relative_to(FOLDER.parent).as_posix()}\n" for path in paths]
    (FOLDER.parent / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def main() -> None:
    if FOLDER.exists():
        sys.exit(f"{FOLDER} is there: the golden archives of a release do not change. Expected a new version.")
    FOLDER.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as text:
        for name in ENDINGS:
            folder = make(name, Path(text))
            assert (folder / JOURNAL.pattern).exists()
            add_schemas(folder)
            pack(folder, FOLDER / f"{name}.zip")
    write_sums()
    print("\n".join(f"{path.stat().st_size:>8} {path.name}" for path in sorted(FOLDER.iterdir())))


if __name__ == "__main__":
    main()
