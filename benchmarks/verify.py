"""`archiver verify` against `md5sum -c`, `sha256sum -c` and `b3sum -c` on 1.8 GB: 4 large files and 200 small ones.

python -m benchmarks.verify [--megabytes 450]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from archiver.sealing import changing
from archiver.testing import tiny_run
from benchmarks.common import interleaved, print_machine, print_table, ratios, spread

REPETITIONS = 5


def make_archive(root: Path, megabytes: int) -> Path:
    run = tiny_run(root)
    with changing(run):
        (run.path / "files").mkdir(exist_ok=True)
        block = os.urandom(1 << 20)
        for number in range(4):
            with (run.path / "files" / f"large_{number}.bin").open("wb") as file:
                for index in range(megabytes):
                    file.write(index.to_bytes(8, "little") + block[8:])
        for number in range(200):
            (run.path / "files" / f"small_{number}.bin").write_bytes(os.urandom(4096))
    return run.path


def seconds(command: list[str], folder: Path) -> float:
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=450, help="size of each of the four large files, in MiB")
    arguments = parser.parse_args()
    print_machine()
    archiver = str(Path(sys.executable).parent / "archiver")
    with tempfile.TemporaryDirectory() as folder:
        path = make_archive(Path(folder), arguments.megabytes)
        total = sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
        commands = {
            "md5sum -c": ["md5sum", "--quiet", "-c", "manifest-md5.txt"],
            "sha256sum -c": ["sha256sum", "--quiet", "-c", "manifest-sha256.txt"],
            "archiver verify (BLAKE3; target 5x)": [archiver, "verify", "."],
            "archiver verify --hash sha256 (target 3.3x on two cores)": [archiver, "verify", "--hash", "sha256", "."],
            "archiver verify --hash sha256, one core (target 1.8x)":
                ["taskset", "-c", "0", archiver, "verify", "--hash", "sha256", "."],
            "archiver verify --hash all": [archiver, "verify", "--hash", "all", "."],
        }  # fmt: skip
        if shutil.which("b3sum"):
            commands["b3sum -c"] = ["b3sum", "--quiet", "-c", "manifest-blake3.txt"]
        measures = {name: lambda command=command: seconds(command, path) for name, command in commands.items()}
        found = interleaved(measures, REPETITIONS)
    reference = found["md5sum -c"]
    rows = [
        (name, spread(values, " s"), f"{total / min(values) / 1e9:.2f} GB/s", spread(ratios(reference, values), "x"))
        for name, values in found.items()
    ]
    title = f"{total / 1e9:.2f} GB, whole processes, warm, {os.cpu_count()} cores, median of {REPETITIONS}, in turn"
    print_table(title, ("command", "time", "at best", "speed against md5sum -c"), rows)


if __name__ == "__main__":
    main()
