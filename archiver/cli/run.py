"""`archiver run`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click


@click.command("run", context_settings={"allow_interspersed_args": False})
@click.option(
    "--root", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder of the runs."
)
@click.option("-m", "module", is_flag=True, help="The first word is a module, as with `python -m`.")
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="SCRIPT [ARGUMENTS]...")
def command(root: Path, module: bool, words: tuple[str, ...]) -> None:
    """Run a script as it is, and archive every call of `fit` in it.

    In the process of the script, and nowhere else, `fit` of Keras' models is wrapped: a RunArchiver joins the
    callbacks, unless there is one. Runs are named by the script and the model. The exit code is the script's.

    \b
    Example:
      archiver run train.py --epochs 3
      archiver run --root archives -m my_package.train
    """
    order = [sys.executable, "-m", "archiver.training.unmodified", "--root", str(root)]
    raise SystemExit(
        _exit_code(subprocess.run([*order, *(["-m"] if module else ["--"]), *words], check=False).returncode)
    )


def _exit_code(code: int) -> int:
    return 128 - code if code < 0 else code
