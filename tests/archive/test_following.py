"""A run that is followed shows what a run that is read whole says, and bears with whatever stands in its files."""

import json
import math
import os
from datetime import timedelta

import pytest

from archiver import layout
from archiver.archive.following import FollowedRun, newest_run
from archiver.archive.following_traces import CURVE_POINTS, Curve, FollowedTrace, is_wanted
from archiver.archive.run import Run
from archiver.cli.watch_picture import duration, picture
from archiver.collect.identity import this_process
from archiver.records.base import utc_now
from archiver.storage.journal import Journal
from archiver.testing import add_phase, tiny_run


def followed(run: Run) -> FollowedRun:
    found = FollowedRun(run)
    while found.read():
        pass
    return found


def shown(run: FollowedRun, width: int = 80, height: int | None = None) -> str:
    return picture(run, utc_now(), width, height).plain


def test_a_finished_run_is_told_as_its_records_tell_it(tmp_path):
    run = tiny_run(tmp_path, epochs=3, tested=True)
    found = followed(run)
    history = run.read(layout.HISTORY).phases[0]
    assert (found.epochs_done, found.phase.planned_epochs) == (3, 3)
    assert found.has_ended
    assert found.status == run.status
    for name, metric in found.metrics.items():
        assert metric.curve.values == list(history.metrics[name])
    assert found.metrics["loss"].best_epoch == 1
    assert found.monitor == "val_loss"
    assert found.test_metrics
    assert found.step_count == sum(history.step_counts)
    assert "complete (epochs), sealed" in shown(found)


def test_byte_for_byte_a_growing_journal_gives_the_same_as_a_whole_one(tmp_path):
    run = tiny_run(tmp_path, epochs=2, phases=2)
    data = (run.path / "journal.jsonl").read_bytes()
    folder = tmp_path / "growing_models"
    folder.mkdir()
    growing = FollowedRun(Run(folder, run.name))
    with (folder / "journal.jsonl").open("ab", buffering=0) as file:
        for start in range(0, len(data), 97):
            file.write(data[start : start + 97])
            growing.read()
    whole = followed(run)
    assert growing.fault_count == 0
    assert growing.metrics == whole.metrics
    assert growing.counts == whole.counts
    assert (growing.epochs_done, growing.phase_count) == (4, 2)


def test_limits_of_memory_are_known_while_it_trains(tmp_path):
    found = followed(tiny_run(tmp_path, sealed=False, status="running"))
    assert found.phase.limits == {"memory_soft_bytes": 3 << 30, "memory_hard_bytes": 4 << 30}
    assert "soft limit 3.0 GiB, hard 4.0 GiB" in shown(found, 120)


def test_an_interrupted_run_has_ended(tmp_path):
    found = followed(tiny_run(tmp_path, sealed=False, status="interrupted"))
    assert found.has_ended
    assert "interrupted, not sealed" in shown(found)


def running(tmp_path, epochs: int, seconds: float = 10.0) -> tuple[Run, FollowedRun]:
    """A run whose process is this one, and whose epochs took `seconds` each, the last of which ended just now."""
    run = tiny_run(tmp_path, epochs=5, sealed=False, status="running")
    lines = [json.loads(line) for line in (run.path / "journal.jsonl").read_text().splitlines()]
    ends = [line for line in lines if line["event"] == "epoch_ended"][:epochs]
    head = [line for line in lines if line["event"] in ("created", "phase_started", "training_began")]
    now = utc_now()
    for place, line in enumerate([head[-1], *ends]):
        line["utc"] = (now - timedelta(seconds=seconds * (epochs - place))).isoformat()
    for line in head:
        if "process" in line["details"]:
            line["details"]["process"] = this_process().model_dump()
    (run.path / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in head + ends))
    return run, followed(run)


def test_the_time_left_comes_from_the_epochs_that_have_ended(tmp_path):
    _, found = running(tmp_path, epochs=3)
    now = found.last_epoch_end
    assert found.status.status == "running"
    assert found.seconds_left(now) == pytest.approx(20.0)
    assert found.seconds_left(now + timedelta(seconds=4)) == pytest.approx(16.0)
    assert found.epoch_share(now + timedelta(seconds=4)) == pytest.approx(0.4)
    # An epoch that takes longer than usual does not make the rest shorter, and a clock behind ours gives no more.
    assert found.seconds_left(now + timedelta(seconds=400)) == pytest.approx(10.0)
    assert found.seconds_left(now - timedelta(seconds=400)) == pytest.approx(20.0)
    assert "3 of 5" in shown(found)


def test_before_the_first_epoch_nothing_is_foretold(tmp_path):
    _, found = running(tmp_path, epochs=0)
    assert found.seconds_left(utc_now()) is None
    assert "0 of 5" in shown(found)
    assert "first epoch since" in shown(found)


def test_hostile_text_reaches_no_terminal_and_breaks_nothing(tmp_path):
    run, _ = running(tmp_path, epochs=2)
    journal = Journal(run.path)
    evil = "\x1b[31mred\x1b]0;title\x07\u202e[bold]x[/bold]\r\n\x9b2J"
    journal.append("warning", message=evil)
    journal.append("step_failed", step=evil, exception={"type": evil, "message": [evil]})
    journal.append("memory_alert", gauge=evil, used_bytes="NaN", limit_bytes={}, level=evil)
    journal.append("cooling_break", duration_seconds="Infinity", cpu_before_celsius=evil)
    journal.append("training_began", limits=[evil], batch_count=evil)
    journal.append("training_began", limits={"memory_soft_bytes": evil, "memory_hard_bytes": "NaN"})
    journal.append("epoch_ended", metrics={evil: 1, "loss": evil, "accuracy": "NaN"}, directions=evil, step_count=-1)
    journal.append("epoch_ended", metrics=evil, directions={"loss": evil})
    journal.append("best_epoch", monitor=[evil])
    journal.append("evaluated", metrics={evil: 1e308, "x": [1]})
    journal.append("status", status=evil, exception={"type": evil})
    with (run.path / "journal.jsonl").open("ab") as file:
        file.write(b'[]\n"x"\n{"event":"epoch_ended","utc":"x","details":{}}\n\xff\n' + b"[" * 100_000 + b"\n{")
    (run.path / "traces" / "memory.csv").write_text(f"elapsed_seconds,part,rss_bytes,{evil}\n1,0,inf,1\n1,0,{evil}\n")
    found = followed(run)
    assert found.fault_count == 5
    for width, height in ((80, 24), (40, 5), (10, 1), (200, None)):
        text = shown(found, width, height)
        assert all(character.isprintable() or character == "\n" for character in text)
        assert height is None or len(text.splitlines()) <= height


def test_a_picture_fits_and_keeps_what_matters(tmp_path):
    run, _ = running(tmp_path, epochs=3)
    for number in range(20):
        Journal(run.path).append("warning", message=f"number {number} " + "long " * 60)
    found = followed(run)
    for width, height in ((80, 24), (140, 45), (60, 8), (80, 3)):
        lines = shown(found, width, height).splitlines()
        assert len(lines) <= height
        assert max(map(len, lines)) <= width
        assert lines[0].startswith("tiny")
        assert "3 of 5" in "".join(lines)


def test_a_removed_or_unreadable_journal_is_said(tmp_path):
    run = tiny_run(tmp_path)
    os.unlink(run.path / "journal.jsonl")
    (run.path / "journal.jsonl").symlink_to("/etc/hostname")
    found = FollowedRun(run)
    found.read()
    assert "link" in found.trouble
    assert "link" in shown(found)


def test_phases_are_counted_on(tmp_path):
    run = tiny_run(tmp_path, epochs=2)
    found = followed(run)
    add_phase(run, epochs=2)
    while found.read():
        pass
    assert (found.phase_count, found.epochs_done, found.phase.epochs_done) == (2, 4, 2)
    assert "(phase 2)" in shown(found)


def test_nothing_in_the_archive_changes(tmp_path):
    run = tiny_run(tmp_path, sealed=False, status="interrupted")
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in run.path.rglob("*") if path.is_file()}
    shown(followed(run))
    assert before == {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in before}
    assert sum(path.is_file() for path in run.path.rglob("*")) == len(before)


def test_the_newest_run_is_the_one_that_began_last(tmp_path):
    first, second = tiny_run(tmp_path, "b"), tiny_run(tmp_path, "a")
    assert newest_run(tmp_path).path == second.path
    began = followed(second).began.timestamp()
    assert newest_run(tmp_path, began).path == second.path
    assert newest_run(tmp_path, began + 1e-3) is None
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "journal.jsonl").write_text("{")
    (tmp_path / "link").symlink_to(first.path)
    assert newest_run(tmp_path).path == second.path
    assert newest_run(tmp_path / "nowhere") is None


def test_a_curve_keeps_its_shape_in_bounded_memory():
    curve = Curve()
    for number in range(100_000):
        curve.add(None if number % 10 == 0 else math.nan if number % 10 == 1 else float(number))
    assert CURVE_POINTS // 2 <= len(curve.values) <= CURVE_POINTS
    assert curve.values == sorted(curve.values)
    assert (curve.latest, curve.largest) == (99_999.0, 99_999.0)


def test_a_thinned_trace_is_read_anew(tmp_path):
    path = tmp_path / "memory.csv"
    path.write_text("elapsed_seconds,part,rss_bytes\n0,0,5\n1,0,7\n2,0,")
    trace = FollowedTrace(tmp_path, "memory.csv")
    trace.read()
    assert (trace.latest("rss_bytes"), trace.largest("rss_bytes")) == (7.0, 7.0)
    (tmp_path / "new").write_text("elapsed_seconds,part,rss_bytes,anonymous_bytes\n0,0,5,\n2,0,6,3\n")
    os.replace(tmp_path / "new", path)
    trace.read()
    assert (trace.latest("rss_bytes"), trace.largest("rss_bytes"), trace.latest("anonymous_bytes")) == (6.0, 6.0, 3.0)


def test_columns_of_gpus_are_wanted_and_a_strangers_are_not():
    assert is_wanted("gpu_0_used_bytes")
    assert is_wanted("gpu_12_celsius")
    for column in ("gpu_x_used_bytes", "gpu_0000_celsius", "gpu_0_clock", "gpu", "", "core_0_percent"):
        assert not is_wanted(column)


def test_durations_are_read_at_a_glance():
    told = [duration(seconds) for seconds in (-1, 0.4, 59.6, 60, 192, 3600, 19_200, 529_200)]
    assert told == ["0 s", "0 s", "1 min", "1 min", "3 min 12 s", "1 h", "5 h 20 min", "6 d 3 h"]
