"""What the catalogue knows: the columns of `runs` and `ensemble_log`, which queries, output and documents go by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "whole", "real", "truth", "time"]
Unit = Literal["bytes", "seconds", "celsius", "mb"]
TableName = Literal["runs", "ensemble_log"]


@dataclass(frozen=True)
class Column:
    """One column; the unit stands at the end of its name."""

    name: str
    kind: Kind
    description: str
    is_listed: bool = False
    """Whether `archiver list` shows it unasked."""

    @property
    def unit(self) -> Unit | None:
        """Of its numbers."""
        return next((unit for unit in ("bytes", "seconds", "celsius", "mb") if self.name.endswith(f"_{unit}")), None)

    @property
    def short_name(self) -> str:
        """The name without its unit, which queries may use too."""
        return self.name.removesuffix(f"_{self.unit}") if self.unit else self.name


COLUMNS = (
    Column("name", "text", "name of the run", is_listed=True),
    Column("path", "text", "folder of the archive, from the store"),
    Column("status", "text", "complete, failed, interrupted, running, or unreadable", is_listed=True),
    Column("stop_reason", "text", "why training ended, such as epochs, early_stopping, memory_limit"),
    Column("exception", "text", "type of the exception that ended it"),
    Column("is_sealed", "truth", "whether the archive is sealed"),
    Column("created", "time", "when training began, UTC", is_listed=True),
    Column("ended", "time", "when it ended, UTC"),
    Column("training_seconds", "real", "duration of the training", is_listed=True),
    Column("phase_count", "whole", "calls of fit"),
    Column("epoch_count", "whole", "epochs done, over all phases", is_listed=True),
    Column("monitor", "text", "metric that decides which epoch is best"),
    Column("best_epoch", "whole", "epoch with its best value, in its phase"),
    Column("best_value", "real", "that value", is_listed=True),
    Column("condition", "text", "part of the name"),
    Column("architecture", "text", "part of the name"),
    Column("config", "text", "part of the name"),
    Column("version", "whole", "2 for the second run of this name, and so on"),
    Column("group", "text", "what binds several runs together"),
    Column("tags", "text", "tags, by commas"),
    Column("peak_rss_bytes", "whole", "largest resident memory of the process", is_listed=True),
    Column("peak_gpu_bytes", "whole", "largest memory of a GPU"),
    Column("highest_cpu_celsius", "real", "highest temperature of the processor"),
    Column("highest_gpu_celsius", "real", "highest temperature of a GPU"),
    Column("memory_alerts", "whole", "how often memory passed a limit"),
    Column("cooling_seconds", "real", "time of cooling breaks"),
    Column("host", "text", "machine"),
    Column("command", "text", "command line"),
    Column("archiver_version", "text", "that wrote it"),
    Column("weights_digest", "text", "of the weights it ended with"),
    Column("best_weights_digest", "text", "of those of the best epoch"),
    Column("initial_weights_digest", "text", "of the weights it began with"),
    Column("parents", "text", "runs that it went on from, by commas"),
    Column("problem", "text", "why records could not be read"),
)
ENSEMBLE_COLUMNS = (
    Column("ensemble", "text", "name of the ensemble", is_listed=True),
    Column("path", "text", "its folder, from the store"),
    Column("iteration", "whole", "number of the candidate, from 0", is_listed=True),
    Column("candidate", "text", "its name", is_listed=True),
    Column("classifier_type", "text", "class of the last step of its pipeline", is_listed=True),
    Column("score", "real", "of the candidate alone, on the selection data", is_listed=True),
    Column("ensemble_score", "real", "of the ensemble afterwards", is_listed=True),
    Column("score_gain", "real", "by how much this iteration raised it"),
    Column("accepted", "truth", "whether the candidate was added", is_listed=True),
    Column("metric", "text", "the score that was climbed"),
    Column("training_memory_mb", "real", "memory the training took at its peak beyond what was there", is_listed=True),
    Column("stage2_memory_mb", "real", "the same of the second stage", is_listed=True),
    Column("memory_before_mb", "real", "memory of the process before training"),
    Column("memory_after_mb", "real", "and after it"),
    Column("memory_peak_mb", "real", "its peak"),
    Column("gpu_memory_mb", "real", "largest memory on GPUs"),
    Column("predicted_memory_mb", "real", "what was expected before it was trained"),
    Column("predicted_high_mb", "real", "and at most, in 19 of 20 cases"),
    Column("training_seconds", "real", "duration of the training", is_listed=True),
    Column("stage2_seconds", "real", "duration of the second stage's"),
    Column("stage2_score", "real", "of the second stage"),
    Column("stage2_run", "text", "its archive"),
    Column("member_count", "whole", "candidates in the ensemble afterwards"),
    Column("ended", "time", "when the iteration ended, UTC"),
    Column("configuration", "text", "parameters of the pipeline, JSON"),
    Column("alerts", "text", "what was noteworthy about memory"),
    Column("error", "text", "why the candidate could not be trained"),
)
TABLES: dict[TableName, tuple[Column, ...]] = {"runs": COLUMNS, "ensemble_log": ENSEMBLE_COLUMNS}


def by_name(columns: tuple[Column, ...]) -> dict[str, Column]:
    """Columns by name, and by name without the unit."""
    return {column.name: column for column in columns} | {column.short_name: column for column in columns}


BY_NAME = by_name(COLUMNS)
LISTED = tuple(column.name for column in COLUMNS if column.is_listed)
ENSEMBLE_LISTED = tuple(column.name for column in ENSEMBLE_COLUMNS if column.is_listed)
