"""The report's part on the machine: figures drawn from traces, the table, cooling breaks."""

import math
import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver import layout, verify
from archiver.records.base import utc_now
from archiver.records.telemetry import CoolingBreak, CoolingSettings, CoolingSummary, TemperatureTarget
from archiver.report.figures.telemetry import memory_figure, temperature_figure, utilisation_figure
from archiver.report.resources import resources
from archiver.report.trace_rows import MAXIMAL_POINTS, NOTHING, Trace, read_trace, trace_from
from archiver.sealing import changing
from archiver.testing import tiny_run
from archiver.testing.telemetry import ROWS
from tests.archive.resealing import edit_and_seal

CELSIUS = (50.0, 79.0, 86.0, 71.0, 60.0, 61.0)


def text_of(svg: bytes) -> str:
    return " | ".join(ET.fromstring(svg).itertext())


def cooled(run):
    """The record of a phase with a cooling break from second 1 to 3."""
    pause = CoolingBreak(
        started=utc_now(), elapsed_seconds=1.0, duration_seconds=2.0, cause="cpu", ended_by="cool",
        cpu_before_celsius=86.0, cpu_after_celsius=60.0, gpu_before_celsius=None, gpu_after_celsius=None,
    )  # fmt: skip
    target = TemperatureTarget(
        part="cpu",
        limit_celsius=80.0,
        resume_celsius=70.0,
        highest_celsius=86.0,
        above_limit_seconds=0.5,
        is_kept=False,
    )
    summary = CoolingSummary(
        break_count=1, total_seconds=2.0, share_of_time=0.4, longest_seconds=2.0, cooled_count=1,
        mean_drop_celsius=26.0, drop_celsius_per_minute=780.0, targets=(target,), breaks=(pause,),
        settings=CoolingSettings(maximal_pause_seconds=300.0, minimal_work_seconds=30.0, check_seconds=1.0),
    )  # fmt: skip
    record = run.read(layout.TELEMETRY)
    return record.model_copy(update={"phases": (record.phases[0].model_copy(update={"cooling": summary}),)})


def test_the_table_is_what_the_record_says(tmp_path):
    run = tiny_run(tmp_path, phases=2, figures=True)
    text = run.path_of(layout.README).read_text()
    _, _, section = text.partition("## Machine and resources")
    section = section.partition("\n## ")[0]
    rows = re.findall(r"\| (\d) \| (\w+) \| [^|]+ \| ([0-9.]+) MiB \| (\d+) % \|$", section, re.MULTILINE)
    record = run.read(layout.TELEMETRY)
    expected = [
        (str(phase.phase + 1), use.phase, f"{use.peak_rss_bytes / 2**20:.1f}", f"{_cpu(use):.0f}")
        for phase in record.phases
        for use in phase.sampling.phases
    ]
    assert rows == expected
    assert len(rows) == 6
    assert f"{record.peak_rss_bytes / 2**20:.1f} MiB of 8.0 GiB (3.7 %)" in section
    assert re.findall(r"!\[[^]]+\]\((\S+)\)", section) == ["figures/memory.svg", "figures/utilisation.svg"]
    assert verify(run.path).is_whole


def _cpu(use):
    return next(column.mean for column in use.columns if column.column == "cpu_percent")


def test_no_figures_no_links(tmp_path):
    run = tiny_run(tmp_path)
    assert resources(run, run.read(layout.TELEMETRY)).figures == ()


def test_memory_is_drawn_as_it_was_traced(tmp_path):
    run = tiny_run(tmp_path, phases=2)
    trace = read_trace(run, layout.MEMORY_TRACE)
    assert trace.seconds == tuple(float(second) for second in range(2 * ROWS))
    svg = memory_figure(trace, run.read(layout.TELEMETRY))
    text = text_of(svg)
    largest = (256 + 16 * (ROWS - 1)) / 1024
    assert f"process, resident: {largest:.3g} at the end" in text
    assert "limit: 3.4, above the figure" in text
    assert "phase 2" in text
    assert svg == memory_figure(trace, run.read(layout.TELEMETRY)), "the same data give the same bytes"
    assert "machine" in text_of(utilisation_figure(read_trace(run, layout.UTILISATION_TRACE), None))


def test_temperatures_show_limits_and_breaks(tmp_path):
    run = tiny_run(tmp_path)
    trace = Trace(tuple(map(float, range(6))), {"cpu_celsius": CELSIUS})
    plain = text_of(temperature_figure(trace, run.read(layout.TELEMETRY)))
    marked = text_of(temperature_figure(trace, cooled(run)))
    assert "processor: 61 at the end" in plain
    assert "cooling break" not in plain
    assert "cooling break (1)" in marked
    assert "limit, cpu: 80" in marked


def test_cooling_breaks_stand_in_the_report(tmp_path):
    run = tiny_run(tmp_path)
    record = cooled(run)
    with changing(run):
        run.write(layout.TELEMETRY, record)
    text = run.path_of(layout.README).read_text()
    assert "Cooling in phase 1: 1 break, 2.0 s in all (40.0 % of the time)" in text
    assert "780.0 °C cooler per minute of pause" in text
    assert "| cpu | 80 °C | 86 °C | 0.5 s | no |" in text


def test_an_alert_stands_in_the_report(tmp_path):
    run = tiny_run(tmp_path)
    event = {
        "level": "hard", "gauge": "process", "used_bytes": 3 << 30, "limit_bytes": 2 << 30,
        "utc": "2026-01-01T00:00:00Z", "elapsed_seconds": 12.0,
    }  # fmt: skip
    edit_and_seal(run, layout.TELEMETRY.path(run.name), lambda it: it["phases"][0]["guard"]["events"].append(event))
    text = run.path_of(layout.README).read_text()
    assert "memory of the process passed its hard limit after 12.0 s (3.0 GiB, limit 2.0 GiB); training was" in text


@pytest.mark.parametrize("lines", [[], ["elapsed_seconds,part,rss_bytes"], ["other,names", "1,2"]])
def test_traces_without_rows_are_not_drawn(lines):
    trace = trace_from(line.split(",") for line in lines)
    assert trace == NOTHING
    assert memory_figure(trace, None) is None


def test_a_strange_trace_is_read_all_the_same(tmp_path):
    run = tiny_run(tmp_path)
    rows = "elapsed_seconds,part,rss_bytes\n0,0,5\n1,0,\n2,0,x\n1,1,7\n2,1\n"
    run.path_of(layout.MEMORY_TRACE).write_text(rows)
    trace = read_trace(run, layout.MEMORY_TRACE)
    assert trace.seconds == (0, 1, 2, 3), "the second part goes on where the first ended"
    assert trace.points("rss_bytes") == ([0, 3], [5, 7])
    run.path_of(layout.MEMORY_TRACE).unlink()
    assert read_trace(run, layout.MEMORY_TRACE) == NOTHING


@settings(deadline=None)
@given(st.lists(st.one_of(st.floats(-1e9, 1e9), st.just(math.nan)), min_size=1, max_size=5000))
def test_thinning_keeps_the_extremes_and_the_order(values):
    trace = Trace(tuple(map(float, range(len(values)))), {"a": tuple(values)})
    seconds, kept = trace.points("a")
    finite = [value for value in values if math.isfinite(value)]
    assert len(kept) <= MAXIMAL_POINTS + 2
    assert seconds == sorted(set(seconds))
    assert all(values[int(second)] == value for second, value in zip(seconds, kept, strict=True))
    if finite:
        assert (min(kept), max(kept), kept[0], kept[-1]) == (min(finite), max(finite), finite[0], finite[-1])
