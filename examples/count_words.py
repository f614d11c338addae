"""Memory watched in a program that trains nothing: the most frequent words of Python's own standard library.

    python examples/count_words.py --modules 200 --threshold-mb 300

The files are read in chunks. Between them garbage is collected; above the threshold the monitor warns, cleans up, and
says what was really freed.
"""

from __future__ import annotations

import argparse
import re
import sysconfig
from collections import Counter
from pathlib import Path

import archiver


def count_words(paths: list[Path], monitor: archiver.MemoryMonitor, chunk_size: int) -> Counter[str]:
    words: Counter[str] = Counter()
    for chunk in monitor.chunks(paths, chunk_size):
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in chunk]
        for text in texts:
            words.update(re.findall(r"[a-z]{4,}", text.lower()))
        monitor.check_and_cleanup(f"after {chunk[-1].name}")
    return words


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--modules", type=int, default=200, help="how many modules to read")
    parser.add_argument("--chunk-size", type=int, default=25, help="how many at a time")
    parser.add_argument("--threshold-mb", type=float, default=300, help="memory to stay below, in 2**20 bytes")
    arguments = parser.parse_args()

    monitor = archiver.MemoryMonitor(cpu_threshold_mb=arguments.threshold_mb)
    monitor.log_memory_stats("start")
    paths = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[: arguments.modules]
    words = count_words(paths, monitor, arguments.chunk_size)
    monitor.log_memory_stats("end")

    summary = monitor.get_memory_summary()
    print(f"{len(paths)} modules: {', '.join(f'{word} {count}' for word, count in words.most_common(5))}")
    print(
        f"memory: at most {summary['cpu_max_mb']:.0f} MB in {summary['reading_count']} readings, "
        f"{summary['cpu_peak_mb']:.0f} MB between them; {summary['cleanup_count']} cleanups"
    )


if __name__ == "__main__":
    main()
