"""The environments of the peers: `.venv-peers/NAME`, each made from `requirements/NAME.txt` on top of one with Keras.

    python -m benchmarks.peers.environments [NAME ...]

All of them, archiver's too, see the packages of `.venv-peers/keras` (TensorFlow and Keras) behind their own ones, by a
`.pth` file, so that no other package of the development environment changes what a peer does. What does not install is
said in `.venv-peers/NAME/failed`, and has a row that says so in the table.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".venv-peers"
REQUIREMENTS = Path(__file__).parent / "requirements"
BASE, OWN = "keras", "archiver"
TIMEOUT_SECONDS = 900


def program(name: str, command: str = "python") -> Path:
    """A program of an environment."""
    return FOLDER / name / "bin" / command


def names() -> list[str]:
    """Of all environments but the one below them."""
    return [OWN, *sorted(path.stem for path in REQUIREMENTS.glob("*.txt") if path.stem != BASE)]


def why_missing(name: str) -> str | None:
    """Why a peer cannot be measured here; None where it can be."""
    failed = FOLDER / name / "failed"
    if failed.exists():
        return f"does not install: {failed.read_text(encoding='utf-8').strip()}"
    return None if (FOLDER / name / "installed").exists() else "not installed: `make peers`"


def version(name: str, distribution: str) -> str:
    """Of a distribution in an environment."""
    code = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
    command = [str(program(name)), "-c", code, distribution]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def requirements(name: str) -> Path | None:
    return None if name == OWN else REQUIREMENTS / f"{name}.txt"


def make(name: str) -> None:
    """Make an environment, unless it is there and was made of the same requirements."""
    folder, wanted = FOLDER / name, requirements(name)
    text = wanted.read_text(encoding="utf-8") if wanted else (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    done = folder / "installed"
    if done.exists() and done.read_text(encoding="utf-8") == text:
        return
    print(f"making {folder.relative_to(ROOT)}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    if name != BASE:
        _see(folder, FOLDER / BASE)
    arguments = ["--requirement", str(wanted)] if wanted else ["--constraint", "constraints.txt", "--editable", "."]
    command = [str(program(name)), "-m", "pip", "install", "--quiet", *arguments]
    try:
        subprocess.run(
            command, cwd=ROOT, check=True, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT_SECONDS,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        (folder / "failed").write_text(_reason(error.stderr), encoding="utf-8")
        print(f"  {name} does not install: {_reason(error.stderr)}", file=sys.stderr)
        return
    except subprocess.TimeoutExpired:
        (folder / "failed").write_text(f"not done after {TIMEOUT_SECONDS} s", encoding="utf-8")
        return
    done.write_text(text, encoding="utf-8")


def _see(folder: Path, base: Path) -> None:
    """Let an environment find what it lacks in another one."""
    (below,) = base.glob("lib/python*/site-packages")
    (own,) = folder.glob("lib/python*/site-packages")
    (own / "zz_keras.pth").write_text(f"import site; site.addsitedir({str(below)!r})\n", encoding="utf-8")


def _reason(errors: str) -> str:
    """The line of pip's output that says what failed, without what is a machine's own."""
    lines = [line.strip() for line in errors.splitlines() if "error" in line.lower()]
    return lines[-1].removeprefix("ERROR: ")[:160] if lines else "pip failed"


def main() -> None:
    os.environ.setdefault("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    FOLDER.mkdir(exist_ok=True)
    for name in [BASE, *(sys.argv[1:] or names())]:
        make(name)


if __name__ == "__main__":
    main()
