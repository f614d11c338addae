"""How long the command line and the imports take, as whole processes, against what they cannot do without.

python -m benchmarks.startup

Beside `archiver --help` that of the peers, from the environments that `make peers` makes.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from archiver.testing import tiny_run
from benchmarks.common import figure, interleaved, print_machine, print_table, spread
from benchmarks.peers import environments

REPETITIONS = int(os.environ.get("ROUNDS", "15"))
PEERS = {
    "dvc": "dvclive", "wandb": "wandb", "mlflow": "mlflow", "aim": "aim", "clearml-task": "clearml",
    "trackio": "trackio", "codecarbon": "codecarbon",
}  # fmt: skip
"""Programs, and the environments that they are in."""
HELP = "archiver --help (target 0.1 s)"
VERIFY = "archiver verify RUN (target 0.4 s)"


def process_seconds(*command: str) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def python_seconds(code: str) -> float:
    """Seconds that `code` says it took."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    return float(result.stdout.split()[-1])


def after_tensorflow(statement: str) -> float:
    return python_seconds(
        f"import tensorflow, keras, time; start = time.perf_counter();{statement}; print(time.perf_counter() - start)"
    )


def peers_help() -> dict[str, str]:
    """`--help` of the peers that are installed: the label, and the program."""
    programs = {name: environments.program(environment, name) for name, environment in PEERS.items()}
    return {f"{name} --help": str(program) for name, program in programs.items() if program.exists()}


def main() -> None:
    print_machine()
    archiver = str(Path(sys.executable).parent / "archiver")
    with tempfile.TemporaryDirectory() as folder:
        run = tiny_run(Path(folder))
        measures = {
            "python -c pass": lambda: process_seconds(sys.executable, "-c", "pass"),
            "python -c 'import click'": lambda: process_seconds(sys.executable, "-c", "import click"),
            HELP: lambda: process_seconds(archiver, "--help"),
            "python -c 'import pydantic'": lambda: process_seconds(
                sys.executable, "-c", "from pydantic import BaseModel"
            ),
            VERIFY: lambda: process_seconds(archiver, "verify", str(run.path)),
            "archiver verify --deep RUN": lambda: process_seconds(archiver, "verify", "--deep", str(run.path)),
            "archiver show RUN": lambda: process_seconds(archiver, "show", str(run.path)),
        }
        peers = peers_help()
        measures |= {name: partial(process_seconds, program, "--help") for name, program in peers.items()}
        found = interleaved(measures, REPETITIONS)
    figure("help", "archiver", found[HELP], "s")
    figure("verify_small", "archiver", found[VERIFY], "s")
    for name in peers:
        figure("help", name, found[name], "s")
    rows = [(name, spread(values, " s")) for name, values in found.items()]
    print_table(f"Whole processes, median (least to most) of {REPETITIONS}, in turn", ("command", "time"), rows)
    imports = {
        "import archiver": lambda: after_tensorflow("import archiver"),
        "archiver.RunArchiver (target 0.2 s)": lambda: after_tensorflow("import archiver; archiver.RunArchiver"),
    }
    found = interleaved(imports, min(5, REPETITIONS))
    rows = [(name, f"{statistics.median(values) * 1000:.0f} ms") for name, values in found.items()]
    print_table("After TensorFlow and Keras are imported, median", ("import", "time"), rows)


if __name__ == "__main__":
    main()
