"""Every scenario of the tests killed once in the middle, and run again: with archiver, and with Keras' own callback.

python -m benchmarks.resume [SCENARIO ...]
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import figure, print_machine, print_table
from tests.training import scripts
from tests.training.resume_scripts import COMMON, SCENARIOS

STATE = ("weights", "optimizer", "seeds", "learning_rate", "decisions", "again")
"""What must be the same for a training to be called exact; the history is told apart."""


@dataclass
class Outcome:
    """What a training came to."""

    result: dict[str, Any]
    steps: int
    seconds: float


def _body(name: str, *, backup: bool) -> str:
    body = SCENARIOS[name]
    if backup:  # each call of fit has its own folder, as Keras asks for
        body = body.replace("archive.finalize(test_data=(x_val, y_val))\n", "")
        body = body.replace("archive = archived()\n", "").replace("Slow(), archive]", "Slow(), archived()]")
        body = body.replace('keras.callbacks.BackupAndRestore("backup"), ', "")
    return COMMON + body


def _train(
    server: scripts.Server, folder: Path, name: str, *, backup: bool = False, kill_after_steps: int | None = None
) -> tuple[scripts.Ended, float]:
    folder.mkdir(parents=True, exist_ok=True)
    options = {"every": "epoch", "step_seconds": 0.02, "kill_after_seconds": None}
    options |= {"backup": backup, "kill_after_steps": kill_after_steps}
    (folder / "options.json").write_text(json.dumps(options))
    began = time.monotonic()
    ended = server.run(folder, _body(name, backup=backup))
    return ended, time.monotonic() - began


def _outcome(ended: scripts.Ended, seconds: float) -> Outcome | None:
    if ended.exit_code != 0:
        return None
    return Outcome(ended.told("result")[-1], ended.told("steps")[-1], seconds)


def _killed_and_run_again(
    server: scripts.Server, folder: Path, name: str, reference: Outcome, *, backup: bool
) -> list[str]:
    at = reference.steps * 5 // 8
    _, first_seconds = _train(server, folder, name, backup=backup, kill_after_steps=at)
    ended, seconds = _train(server, folder, name, backup=backup)
    again = _outcome(ended, first_seconds + seconds)
    if again is None:
        return [f"fails: {ended.errors.splitlines()[-1][:60]}", "", "", ""]
    differs = [key for key in STATE if again.result[key] != reference.result[key]]
    is_kept = again.result["histories"] == reference.result["histories"]
    return [
        "yes" if not differs else f"no: {', '.join(differs)}",
        "yes" if is_kept else "no",
        str(at + again.steps - reference.steps),
        f"{again.seconds - reference.seconds:.1f}",
    ]


def main(names: list[str]) -> None:
    """Print the table; each row on standard error too, as soon as it is known."""
    print_machine()
    rows = []
    with tempfile.TemporaryDirectory() as folder, scripts.serving() as server:
        for name in names:
            ends = {
                backup: _outcome(*_train(server, Path(folder, name, f"whole {backup}"), name, backup=backup))
                for backup in (False, True)
            }
            for backup, label in ((False, "archiver"), (True, "BackupAndRestore")):
                reference = ends[backup]
                if reference is None:
                    rows.append([name, label, "fails without a kill", "", "", ""])
                    print(rows[-1], file=sys.stderr)
                    continue
                place = Path(folder, name, label)
                rows.append([name, label, *_killed_and_run_again(server, place, name, reference, backup=backup)])
                print(rows[-1], file=sys.stderr)
    for label, who in (("archiver", "archiver"), ("BackupAndRestore", "Keras BackupAndRestore")):
        outcomes = [row[2:4] == ["yes", "yes"] for row in rows if row[1] == label]
        figure("resumed_exactly", who, 100 * sum(outcomes) / len(outcomes), "%")
    columns = ("scenario", "with", "exact", "history kept", "steps trained twice", "seconds lost")
    print_table("Killed after five eighths of the steps, a snapshot after each epoch, and run again", columns, rows)


if __name__ == "__main__":
    main(sys.argv[1:] or list(SCENARIOS))
