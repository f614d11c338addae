"""Which figures a run gets, and from which records."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from archiver import layout
from archiver.archive.failures import record_failure
from archiver.archive.run import Run
from archiver.records.base import Unavailable
from archiver.report.context import Records, read_records
from archiver.report.trace_rows import read_trace
from archiver.storage import files
from archiver.storage.journal import Journal


def draw_figures(run: Run, journal: Journal, *, wanted: bool) -> None:
    """Draw every figure that the records have the data for, and remove those of an earlier seal that they have not.

    A figure that fails is recorded in the journal, and is missing.
    """
    records = read_records(run)
    drawings = {name: partial(draw, records) for name, draw in FIGURES.items()}
    drawings |= {name: partial(draw, run, records) for name, draw in FIGURES_OF_TRACES.items()}
    for name, drawing in drawings.items():
        path = f"figures/{name}.svg"
        try:
            data = drawing() if wanted else None
            if data is not None:
                files.write_bytes(run.path / path, data)
                continue
        except Exception as error:  # noqa: BLE001 - a figure must not cost the seal
            record_failure(journal, f"figure {name}", error, path)
        files.remove(run.path / path)


def _learning_curves(records: Records) -> bytes | None:
    from archiver.report.figures.learning_curves import learning_curves

    history, results = records["history"], records["results"]
    if history is None:
        return None
    best = results.best_epoch if results is not None else None
    return learning_curves(history, None if isinstance(best, Unavailable) else best)


def _class_distribution(records: Records) -> bytes | None:
    from archiver.report.figures.bars import class_distribution

    stats = records["dataset_stats"]
    if stats is None:
        return None
    counts = {name: split.class_counts for name, split in stats.splits.items() if isinstance(split.class_counts, dict)}
    names = {str(index): name for index, name in enumerate(stats.class_names or ())}
    return class_distribution(counts, names)


def _memory(run: Run, records: Records) -> bytes | None:
    from archiver.report.figures.telemetry import memory_figure

    return memory_figure(read_trace(run, layout.MEMORY_TRACE), records["telemetry"])


def _utilisation(run: Run, records: Records) -> bytes | None:
    from archiver.report.figures.telemetry import utilisation_figure

    return utilisation_figure(read_trace(run, layout.UTILISATION_TRACE), records["telemetry"])


def _temperature(run: Run, records: Records) -> bytes | None:
    from archiver.report.figures.telemetry import temperature_figure

    return temperature_figure(read_trace(run, layout.TEMPERATURE_TRACE), records["telemetry"])


FIGURES: dict[str, Callable[[Records], bytes | None]] = {
    "learning_curves": _learning_curves,
    "class_distribution": _class_distribution,
}
"""By file name: the function that draws it, or finds that there is nothing to draw."""

FIGURES_OF_TRACES: dict[str, Callable[[Run, Records], bytes | None]] = {
    "memory": _memory,
    "utilisation": _utilisation,
    "temperature": _temperature,
}
"""The same, for those that also need the traces."""
