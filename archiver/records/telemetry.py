"""What was measured while a run went on: summaries of the traces, cooling breaks, the guard, what could not be had."""

from typing import ClassVar, Literal

from archiver.records.base import Count, Part, Real, Record, Unavailable, UtcTime


class TraceColumn(Part):
    """One column of a trace. The unit stands at the end of its name; a cell is a number, or empty: not measured."""

    name: str
    description: str


class TracePart(Part):
    """One file in `traces/`: CSV in UTF-8, lines end in LF, the first line names the columns."""

    file: str
    columns: tuple[TraceColumn, ...]
    """In the order of the file; `elapsed_seconds` and `part` come before them."""
    row_count: Count
    maximal_row_count: Count
    """A trace that reaches this number of rows is thinned to half. It keeps, in stretches of equal time, the rows with
    the smallest and largest values of its most important columns, and the rows with the smallest and largest of all."""
    is_thinned: bool
    lost_row_count: Count = 0
    """Rows that the file system did not take."""


class ColumnSummary(Part):
    """What a column was like during a phase. Percentiles are by nearest rank and exact to 0.8 %."""

    column: str
    count: Count
    """How many samples have a value."""
    mean: Real
    minimum: Real
    maximum: Real
    percentile_5: Real
    percentile_50: Real
    percentile_95: Real
    percentile_99: Real


class PhaseUse(Part):
    """The use of resources during one phase."""

    phase: str
    duration_seconds: Real
    peak_rss_bytes: Count
    """The largest resident memory of the process, between samples too where the kernel tells."""
    columns: tuple[ColumnSummary, ...]


class UnavailableReading(Part):
    """Something this machine does not tell."""

    reading: str
    """A column, or several by commas; `...` stands for any."""
    reason: str


class SamplingPart(Part):
    """How one process of a run was sampled, and what came out."""

    part: Count
    rate_hertz: Real
    started: UtcTime
    duration_seconds: Real
    sample_count: Count
    missed_sample_count: Count
    """Samples left out because the machine was too busy."""
    failed_sample_count: Count
    last_failure: str | None
    peak_rss_bytes: Count
    phases: tuple[PhaseUse, ...]
    traces: tuple[TracePart, ...]
    unavailable_readings: tuple[UnavailableReading, ...]


class GuardEvent(Part):
    """The guard saw memory pass a limit."""

    level: Literal["soft", "hard"]
    gauge: Literal["process", "container", "system"]
    """What passed it: anonymous memory of the process, the working set of the container, used memory of the machine."""
    used_bytes: Count
    limit_bytes: Count
    utc: UtcTime
    elapsed_seconds: Real
    """Since the guard began."""


class GuardLimits(Part):
    """Where the guard acts. `capacity_bytes` is what the process had and could still get when the guard was made."""

    capacity_bytes: Count
    soft_limit_bytes: Count
    hard_limit_bytes: Count
    poll_seconds: Real


CoolingCause = Literal["cpu", "gpu", "cpu and gpu"]
CoolingEnd = Literal["cool", "maximal_pause", "stopped"]


class CoolingBreak(Part):
    """The training paused because the machine was too hot."""

    started: UtcTime
    elapsed_seconds: Real
    """Since the watch over the temperature began."""
    duration_seconds: Real
    cause: CoolingCause
    ended_by: CoolingEnd
    cpu_before_celsius: Real | None
    cpu_after_celsius: Real | None
    gpu_before_celsius: Real | None
    gpu_after_celsius: Real | None


class TemperatureTarget(Part):
    """A limit, and what really happened."""

    part: Literal["cpu", "gpu"]
    limit_celsius: Real | None
    """Null: none was set."""
    resume_celsius: Real | None
    highest_celsius: Real | None
    """Null: no sensor told."""
    above_limit_seconds: Real
    is_kept: bool | None
    """Whether the highest temperature did not pass the limit; null where one of the two is missing."""


class CoolingSettings(Part):
    """How breaks are made; the temperatures are in the targets."""

    maximal_pause_seconds: Real
    """No single break is longer."""
    minimal_work_seconds: Real
    """No break begins earlier after the last one."""
    check_seconds: Real
    """Between two looks at the sensors."""


class CoolingSummary(Part):
    """All cooling breaks of a training, and whether they helped."""

    break_count: Count
    total_seconds: Real
    share_of_time: Real
    """Of the time from the first look to the last, 0 to 1."""
    longest_seconds: Real
    cooled_count: Count
    """Breaks that ended because it was cool; the others reached the maximal pause or were stopped."""
    mean_drop_celsius: Real | None
    """By how much the part that caused the break became cooler; null without breaks."""
    drop_celsius_per_minute: Real | None
    """Effectiveness: the sum of the drops over the sum of the pauses; null without breaks."""
    targets: tuple[TemperatureTarget, ...]
    settings: CoolingSettings
    breaks: tuple[CoolingBreak, ...]
    """At most 1,000, the first ones; the counts above cover all."""


class GuardPart(Part):
    """The watch over memory during one call of `fit`."""

    limits: GuardLimits
    events: tuple[GuardEvent, ...]
    """At most one of each level."""


class PhaseTelemetry(Part):
    """What was measured during one call of `fit`; a loop of the user's own that goes on after it has one more."""

    phase: Count
    begin_elapsed_seconds: Real
    """When it began, by the clock of the traces."""
    sampling: SamplingPart | Unavailable
    """Its own phases are `preparing` (from the claim of the name to the first epoch), `training` and `saving`."""
    cooling: CoolingSummary | Unavailable
    guard: GuardPart | Unavailable


class Telemetry(Record):
    """`results/<name>_telemetry.json`."""

    KIND: ClassVar[str] = "telemetry"
    kind: Literal["telemetry"] = "telemetry"
    peak_rss_bytes: Count | Unavailable
    """The largest resident memory of the process in all phases, between samples too where the kernel tells."""
    machine_memory_bytes: Count
    """What the process could have at most: the memory of the machine, or the smallest limit of its container."""
    phases: tuple[PhaseTelemetry, ...]
    """In order of time."""
