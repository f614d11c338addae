"""Runs benchmarks and writes benchmarks/RESULTS.md: every number to beat, and what each benchmark printed.

    python -m benchmarks.results [--only NAME,...] [--without NAME,...] [--quick] [--write-only]

What a benchmark found stays in `benchmarks/results/NAME.json`, so that some can be run again without the others; each
figure has its date. `--quick` (or QUICK=1) takes small sizes, to try everything, and writes below `build/` instead.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cpuinfo
import psutil

from benchmarks.common import number
from benchmarks.rows import OWN, ROWS, Row

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "benchmarks" / "results"
REPORT = ROOT / "benchmarks" / "RESULTS.md"
INTRODUCTION = """\
Written by `make bench` (`python -m benchmarks.results`), not by hand. Each benchmark runs its cases in turn, round by
round: compare the rows of a table with each other. A figure is the median; *met* goes by it. The targets are those of
the project's design; *limit* is what the machine allows, as far as that was measured for the design, or what a bound
was made of.
"""
QUICK = ROOT / "build" / "benchmarks"


@dataclass(frozen=True)
class Benchmark:
    """How a benchmark is called: in full, and quickly."""

    full: str = ""
    quick: str = ""
    full_variables: dict[str, str] = field(default_factory=dict)
    quick_variables: dict[str, str] = field(default_factory=dict)


SOME_SCENARIOS = "generator array_batches mixed_precision augmentation lstm two_phases callbacks"
"""Of 19: all of them take twice as long (`python -m benchmarks.resume`)."""
BENCHMARKS = {
    "peers": Benchmark("--rounds 2", "--rounds 1 --epochs 4 --steps 50 --kills 1"),
    "overhead": Benchmark("", "", {"ROUNDS": "5"}, {"ROUNDS": "1"}),
    "startup": Benchmark("", "", {"ROUNDS": "5"}, {"ROUNDS": "1"}),
    "verify": Benchmark("--rounds 3", "--megabytes 50 --rounds 1"),
    "faults": Benchmark("--faults 600 --untouched 100", "--faults 40 --untouched 5"),
    "resume": Benchmark(f"arrays tf_data_finite pydataset {SOME_SCENARIOS}", "arrays"),
    "sampling": Benchmark("", "", {"ROUNDS": "5", "STEPS": "2000"}, {"ROUNDS": "1", "STEPS": "500"}),
    "memory_watch": Benchmark("", "--spikes 5"),
    "catalog": Benchmark("--runs 10000 --rounds 3", "--runs 2000 --rounds 1"),
    "feeding": Benchmark("--rounds 1 --models light --skip-limited",
                         "--megabytes 60 --rounds 1 --models light --skip-limited"),
    "cache": Benchmark("--windows 1000 --rounds 2", "--windows 200 --rounds 1"),
    "statistics": Benchmark("--megabytes 256", "--megabytes 32 --map-megabytes 128"),
    "augmentation": Benchmark("--windows 2000 --rounds 2", "--windows 100 --rounds 1"),
    "snapshots": Benchmark("", "", {"ROUNDS": "3"}, {"ROUNDS": "1"}),
    "memory_estimate": Benchmark(),
    "report": Benchmark(),
    "repair": Benchmark(),
    "diff": Benchmark("", "", {"ROUNDS": "3"}, {"ROUNDS": "1"}),
    "store": Benchmark("--runs 300 --rounds 2", "--runs 20 --rounds 1"),
    "scale": Benchmark("", "--archives 10000"),
}  # fmt: skip


# -- running


def run(name: str, *, quick: bool) -> dict[str, Any]:
    """What a benchmark found, as it is kept."""
    benchmark = BENCHMARKS[name]
    arguments = benchmark.quick if quick else benchmark.full
    variables = benchmark.quick_variables if quick else benchmark.full_variables
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments.split()]
    began, started = datetime.now(UTC), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "record"
        environment = os.environ | variables | {"BENCHMARK_RECORD": str(record)}
        ended = subprocess.run(command, cwd=ROOT, env=environment, check=False)
        lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
    found: dict[str, Any] = {
        "benchmark": name,
        "command": " ".join([*(f"{key}={value}" for key, value in variables.items()), "python", *command[1:]]),
        "began_utc": began.isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - started, 1),
        "exit_code": ended.returncode,
        "machine": machine(),
        "versions": {},
        "records": [],
    }
    for line in lines:
        record_of = json.loads(line)
        if record_of["kind"] == "versions":
            found["versions"] |= record_of["versions"]
        else:
            found["records"].append(record_of)
    return found


def machine() -> dict[str, str]:
    """What figures depend on."""
    return {
        "processor": cpuinfo.get_cpu_info().get("brand_raw", platform.machine()),
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


# -- writing


@dataclass(frozen=True)
class Figure:
    """A median, and when it was measured."""

    value: float
    unit: str
    date: str

    def __str__(self) -> str:
        return f"{number(self.value)} {self.unit}".strip()


def figures_of(results: Sequence[dict[str, Any]]) -> dict[str, dict[str, Figure]]:
    """By measure, by who."""
    found: dict[str, dict[str, Figure]] = {}
    for result in results:
        for record in result["records"]:
            if record["kind"] == "figure":
                value = statistics.median(record["values"])
                one = Figure(value, record["unit"], result["began_utc"][:10])
                found.setdefault(record["measure"], {})[record["who"]] = one
    return found


def report(results: Sequence[dict[str, Any]]) -> str:
    """The text of RESULTS.md."""
    parts = [
        "# Results\n",
        INTRODUCTION,
        machines(results),
        versions(results),
        "## The numbers to beat\n",
        table(
            ("what", "target", "archiver", "best of the others here", "limit", "met", "measured"),
            [row_cells(row, figures_of(results).get(row.measure, {})) for row in ROWS],
        ),
        *(section(result) for result in results),
    ]
    return "\n".join(filter(None, parts)).rstrip() + "\n"


def row_cells(row: Row, found: dict[str, Figure]) -> tuple[str, ...]:
    """A row of the first table."""
    others = {who: figure.value for who, figure in found.items() if who != OWN}
    best = row.best(others) if others else None
    unit = next((figure.unit for figure in found.values()), "")
    target = f"at {'least' if row.at_least else 'most'} {number(row.bound)} {unit}".strip()
    own = found.get(OWN)
    if own is None:
        verdict, date = "not measured", ""
    else:
        reason = row.reason or "not explained"
        verdict, date = "yes" if row.is_met(own.value) else f"**no**: {reason}", f", {own.date}"
    other = f"{found[best]} ({best})" if best else ""
    command = f"`python -m benchmarks.{row.benchmark}`{date}"
    return row.what, target, str(own or ""), other, row.limit, verdict, command


def machines(results: Sequence[dict[str, Any]]) -> str:
    """Where the figures come from: one line, or several where they were not measured in one place."""
    found: dict[str, list[str]] = {}
    for result in results:
        line = "{processor}, {cores} cores, {memory}, {kernel}, Python {python}".format(**result["machine"])
        found.setdefault(line, []).append(result["benchmark"])
    if not found:
        return ""
    if len(found) == 1:
        return f"Machine: {next(iter(found))}.\n"
    return "\n".join(f"- {line}: {', '.join(names)}" for line, names in found.items()) + "\n"


def versions(results: Sequence[dict[str, Any]]) -> str:
    found = {name: version for result in results for name, version in result["versions"].items()}
    return f"Versions: {', '.join(f'{name} {found[name]}' for name in sorted(found))}.\n" if found else ""


def section(result: dict[str, Any]) -> str:
    """All that a benchmark printed."""
    lines = [
        f"## {result['benchmark']}\n",
        f"`{result['command']}`, {result['began_utc'][:10]}, {result['seconds']:.0f} s\n",
    ]
    if result["exit_code"]:
        lines.append(f"**It failed**, with exit code {result['exit_code']}; what it found before:\n")
    for record in result["records"]:
        if record["kind"] == "table":
            lines += [f"{record['title']}:\n", table(record["columns"], record["rows"])]
        elif record["kind"] == "note":
            lines.append(f"{escaped(record['text'])}\n")
    return "\n".join(lines)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [line(columns), line(["---"] * len(columns)), *(line(row) for row in rows)]
    return "\n".join(lines) + "\n"


def line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(escaped(cell) for cell in cells)} |"


def escaped(text: str) -> str:
    """What others print may contain what a table ends at."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def read_results(folder: Path) -> list[dict[str, Any]]:
    """All that is kept, in the order in which benchmarks are run."""
    paths = [folder / f"{name}.json" for name in BENCHMARKS]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="names, with commas between them")
    parser.add_argument("--without", default="", help="names, with commas between them")
    parser.add_argument("--quick", action="store_true", default=bool(os.environ.get("QUICK")))
    parser.add_argument("--write-only", action="store_true", help="write RESULTS.md anew from what is kept")
    arguments = parser.parse_args()
    names = [name for name in (arguments.only or ",".join(BENCHMARKS)).split(",") if name]
    names = [name for name in names if name not in arguments.without.split(",")]
    unknown = sorted({*names, *filter(None, arguments.without.split(","))} - set(BENCHMARKS))
    if unknown:
        parser.error(f"Received {', '.join(unknown)}. Expected some of {', '.join(BENCHMARKS)}.")
    folder = QUICK if arguments.quick else FOLDER
    target = QUICK / "RESULTS.md" if arguments.quick else REPORT
    folder.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in [] if arguments.write_only else names:
        print(f"== {name}", flush=True)
        found = run(name, quick=arguments.quick)
        (folder / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        target.write_text(report(read_results(folder)), encoding="utf-8")
        print(f"== {name}: {found['seconds']:.0f} s", flush=True)
        if found["exit_code"]:
            failed.append(name)
    target.write_text(report(read_results(folder)), encoding="utf-8")
    print(f"{target.relative_to(ROOT)} is written")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
