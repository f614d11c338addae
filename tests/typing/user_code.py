"""A user's script as mypy sees it: what `run.read` returns is typed."""

from typing import assert_type

import archiver
from archiver.records.results import Results
from archiver.records.training import History

run = archiver.Run.open("runs/a_models")
history = run.read(archiver.layout.HISTORY)
assert_type(history, History)
assert_type(run.read(archiver.layout.RESULTS), Results)
assert_type(history.phases[0].metrics["loss"], tuple[float | None, ...])
report = archiver.verify(run.path, algorithm="sha256", deep=True)
assert_type(report.is_whole, bool)
archiver.verify(run.path, algorithm="crc32")  # type: ignore[arg-type]
comparison = archiver.compare(run, "runs/b_models")
assert_type(comparison.differs, bool)
assert_type(comparison.causes[0].why, str)
assert_type(comparison.effects.metrics[0].before, tuple[float | None, ...])
archiver.compare(run)  # type: ignore[call-arg]
archive = archiver.RunArchiver("runs", name="a")
assert_type(archive.finalize(test_data=None), archiver.Run)
monitor = archiver.MemoryMonitor(cpu_threshold_mb=2000, gpu_threshold_mb=1500, auto_cleanup=True)
assert_type(monitor.check_and_cleanup("epoch 1").gpu_mb, float | None)
assert_type(monitor.get_memory_summary()["cpu_max_mb"], float)
archiver.MemoryMonitor.preset("brave")  # type: ignore[arg-type]
archiver.RunArchiver("runs", name="a", on_existing="overwrite")  # type: ignore[arg-type]
