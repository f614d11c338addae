"""What archiver, Keras' own callbacks and the peers cost a training, and what each has kept after `kill -9`.

    python -m benchmarks.peers [--rounds 3] [--epochs 12] [--steps 100] [--kills 1] [--only CASE ...]

`make peers` makes the environments. Each case is a process of its own, all in turn, round by round: Keras is imported
and a tiny model trained, then the peer is imported, and the same model trained with it. Offline, in an empty home.

- *a step*, *an epoch*: time inside the hooks of all callbacks that the peer brings, the first epoch left out. What
  Keras runs beside the training (`async_safe`) is counted in processor time. "empty hooks" is the cost of measuring;
  of a step it is taken off, for each hook that is timed.
- *training*: time of an epoch against the same training without any callback, in the same process. Every step takes
  half a millisecond, so that what stands beside it weighs as much as it can.
- *start*: from calling the peer until the first epoch begins. *End*: from the last epoch's end until Python's exit
  handlers are done, so all that a process waits for; for archiver without saving the models (its journal tells the
  time) and hashing all files (measured again, alone). No peer saves a model here.
- *memory*: the most resident memory between two epochs, less what the process had with Keras and a trained model just
  before the peer was imported; *helpers*: resident memory of processes that it started.
- *import*: of what a script needs, Keras being imported.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import figure, note_versions, print_machine, print_note, print_table, spread
from benchmarks.peers import environments

SCRIPT = Path(__file__).parent / "start.py"
CASE_SECONDS = 180
KILLED_AFTER_SECONDS = 6.0
AFTER_KILL_SECONDS = 1.0
"""A helper process may notice the death of the training, and write what it has."""

Measured = dict[str, float]
ALL = ("step", "epoch", "end", "memory", "import")
MEASURES = {"step": "step_hook", "epoch": "epoch_hooks", "end": "end", "memory": "memory", "import": "import"}


@dataclass(frozen=True)
class Case:
    """One way of logging."""

    name: str
    environment: str
    adapter: str
    logs: str
    counts: tuple[str, ...] = ALL
    """What it may be the best of in RESULTS.md: not of what it does not do."""


NOTHING, EMPTY = "no callback", "empty hooks"
CASES = [
    Case(NOTHING, environments.BASE, "none", "", counts=()),
    Case("no callback, again (A/A)", environments.BASE, "none", "", counts=()),
    Case(EMPTY, environments.BASE, "empty", "", counts=()),
    Case("archiver", environments.OWN, "archiver_plain", "steps, epochs, telemetry; models, digests"),
    Case("archiver, as it comes", environments.OWN, "archiver_default", "the same; snapshots, figures", counts=()),
    Case("Keras CSVLogger", environments.BASE, "keras_csv", "epochs", counts=("epoch",)),
    Case("Keras ModelCheckpoint", environments.BASE, "keras_checkpoint", "best weights", counts=()),
    Case("Keras BackupAndRestore", environments.BASE, "keras_backup", "a checkpoint an epoch", counts=()),
    Case("Keras TensorBoard", "tensorboard", "keras_tensorboard", "steps, epochs", counts=ALL[:-1]),
    Case("MLflow", "mlflow", "mlflow_steps", "steps", counts=("step", "end", "memory", "import")),
    Case("MLflow, by epoch", "mlflow", "mlflow_epochs", "epochs, telemetry", counts=ALL[1:]),
    Case("W&B offline", "wandb", "wandb_steps", "steps, epochs, telemetry"),
    Case("DVCLive", "dvclive", "dvclive_steps", "steps, epochs"),
    Case("Aim", "aim", "aim_steps", "steps, epochs, telemetry"),
    Case("Sacred", "sacred", "sacred_steps", "steps, epochs"),
    Case("trackio", "trackio", "trackio_steps", "steps, epochs"),
    Case("ClearML offline", "clearml", "clearml_steps", "steps, epochs, telemetry"),
    Case("CodeCarbon offline", "codecarbon", "codecarbon_run", "energy", counts=()),
]
OFFLINE = {
    "AIM_UI_TELEMETRY_ENABLED": "0", "CLEARML_OFFLINE_MODE": "1", "DO_NOT_TRACK": "1", "DVC_NO_ANALYTICS": "1",
    "GIT_TERMINAL_PROMPT": "0", "HF_HUB_OFFLINE": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
}  # fmt: skip


def environment(home: Path) -> dict[str, str]:
    """Nothing of this user's settings, and no network."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TMPDIR")}
    return kept | OFFLINE | {"HOME": str(home), "TRACKIO_DIR": str(home / "trackio"), "TF_CPP_MIN_LOG_LEVEL": "3"}


@contextlib.contextmanager
def running(case: Case, folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process, in a session of its own, which is ended with all its helpers."""
    command = [str(environments.program(case.environment)), str(SCRIPT), case.adapter, str(folder), *arguments]
    with (folder / "output.txt").open("ab") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment(folder), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def output_of(folder: Path) -> str:
    lines = (folder / "output.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:100] if lines else "no output"


@contextlib.contextmanager
def empty_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as text:
        yield Path(text)


def measured(case: Case, epochs: int, steps: int) -> Measured | str:
    """What one training cost, or why it failed."""
    with empty_folder() as folder:
        with running(case, folder, "--measure", str(epochs), str(steps)) as process:
            try:
                process.wait(timeout=CASE_SECONDS)
            except subprocess.TimeoutExpired:
                return f"stopped after {CASE_SECONDS} s"
        found: Measured | str = read_json(folder / "measured.json", f"fails: {output_of(folder)}")
        return found


def read_json(path: Path, otherwise: str) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else otherwise


def per_call(found: list[Measured]) -> float:
    """Microseconds that timing a hook of a step takes, of trainings with hooks that are empty."""
    return statistics.median(each["step_microseconds"] / each["step_calls"] for each in found) if found else 0.0


def in_units(found: list[Measured], timing: float) -> dict[str, list[float]]:
    """In the units of the table; `timing`: microseconds that timing a hook of a step takes."""
    return {
        "step": [max(0.0, each["step_microseconds"] - timing * each["step_calls"]) for each in found],
        "epoch": [each["epoch_milliseconds"] for each in found],
        "training": [each["training_ratio"] for each in found],
        "start": [each["start_seconds"] for each in found],
        "end": [(each["end_seconds"] - each["not_counted_seconds"]) * 1e3 for each in found],
        "memory": [each["peak_mib"] - each["before_mib"] for each in found],
        "helpers": [each["helpers_mib"] for each in found],
        "import": [each["import_seconds"] for each in found],
    }


UNITS = {
    "step": " us", "epoch": " ms", "training": "x", "start": " s", "end": " ms", "memory": " MiB", "helpers": " MiB",
    "import": " s",
}  # fmt: skip


def costs(cases: list[Case], rounds: int, epochs: int, steps: int) -> None:
    found: dict[str, list[Measured]] = {case.name: [] for case in cases}
    failures: dict[str, str] = {}
    for _ in range(rounds):
        for case in cases:
            missing = environments.why_missing(case.environment)
            outcome = missing or measured(case, epochs, steps)
            if isinstance(outcome, str):
                failures[case.name] = outcome
            else:
                found[case.name].append(outcome)
    rows = []
    empty = per_call(found.get(EMPTY, []))
    for case in cases:
        if case.name in failures:
            rows.append((case.name, failures[case.name], *[""] * len(UNITS)))
            continue
        values = in_units(found[case.name], 0.0 if case.name == EMPTY else empty)
        rows.append((case.name, case.logs, *(spread(values[key], unit) for key, unit in UNITS.items())))
        for key in case.counts:
            figure(MEASURES[key], case.name, values[key], UNITS[key].strip())
    columns = ("callback", "logs", *UNITS)
    print_table(f"{epochs} epochs of {steps} steps, median (least to most) of {rounds} rounds in turn", columns, rows)


# -- killed


def killed(case: Case) -> dict[str, float] | str:
    """Seconds of losses, and with archiver of telemetry, that a kill in the middle has cost; and steps found."""
    with empty_folder() as folder:
        path = folder / "steps"
        with running(case, folder, "--until-killed") as process:
            deadline = time.monotonic() + CASE_SECONDS
            while not path.exists() or path.stat().st_size == 0:
                if process.poll() is not None or time.monotonic() > deadline:
                    return f"fails: {output_of(folder)}"
                time.sleep(0.05)
            time.sleep(KILLED_AFTER_SECONDS)
            process.kill()
            process.wait()
            killed_at = time.time()
            time.sleep(AFTER_KILL_SECONDS)
        with running(case, folder, "--kept") as reader:
            reader.wait(timeout=CASE_SECONDS)
        kept = read_json(folder / "kept.json", f"cannot be read: {output_of(folder)}")
        if isinstance(kept, str):
            return kept
        times = [each[0] for each in struct.iter_unpack("d", path.read_bytes())]
        steps = min(kept["steps"], len(times))
        found = {"trained": len(times), "kept": steps, "lost_seconds": killed_at - times[max(0, steps - 1)]}
        if kept["last_sample"] is not None:
            found["telemetry_seconds"] = killed_at - kept["last_sample"]
        return found


def kills(cases: list[Case], count: int) -> None:
    rows = []
    for case in cases:
        if environments.why_missing(case.environment) or not has_reader(case):
            continue
        outcomes = [killed(case) for _ in range(count)]
        failures = [each for each in outcomes if isinstance(each, str)]
        if failures:
            rows.append((case.name, failures[0], "", ""))
            continue
        found = [each for each in outcomes if not isinstance(each, str)]
        trained, kept = (sum(each[key] for each in found) for key in ("trained", "kept"))
        lost = [each["lost_seconds"] for each in found]
        telemetry = [each["telemetry_seconds"] for each in found if "telemetry_seconds" in each]
        rows.append((
            case.name, f"{kept:.0f} of {trained:.0f}", spread(lost, " s"),
            spread(telemetry, " s") if telemetry else "not looked at",
        ))  # fmt: skip
        if case.counts:
            figure("lost_losses", case.name, lost, "s")
        if case.counts and telemetry:
            figure("lost_telemetry", case.name, telemetry, "s")
    columns = ("callback", "losses of steps found", "last loss found: before the kill", "last telemetry")
    print_table("kill -9 in the middle of a training, 20 ms a step, 50 steps an epoch", columns, rows)


def has_reader(case: Case) -> bool:
    source = (SCRIPT.parent / "adapters" / f"{case.adapter}.py").read_text(encoding="utf-8")
    return "kept_steps" in source


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--kills", type=int, default=1, help="how often each is killed")
    parser.add_argument("--only", nargs="+", choices=[case.name for case in CASES])
    arguments = parser.parse_args()
    print_machine()
    cases = [case for case in CASES if not arguments.only or case.name in arguments.only]
    for name in dict.fromkeys(case.environment for case in cases):
        missing = environments.why_missing(name)
        if missing:
            print_note(f"{name}: {missing}")
        elif name not in (environments.BASE, environments.OWN):
            note_versions({name: environments.version(name, name)})
    note_versions({name: environments.version(environments.BASE, name) for name in ("tensorflow", "keras")})
    costs(cases, arguments.rounds, arguments.epochs, arguments.steps)
    if arguments.kills:
        kills(cases, arguments.kills)


if __name__ == "__main__":
    main()
