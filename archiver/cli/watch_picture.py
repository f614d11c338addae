"""What `archiver watch` shows: a followed run as lines that fit a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rich.text import Text

from archiver.archive.findings import printable
from archiver.archive.following import FollowedMetric, FollowedPhase, FollowedRun
from archiver.archive.summary import counted, sparkline

LABEL_WIDTH = 10
LEAST_WIDTH = 40
STALE_SECONDS = 15.0
NARROW_CURVE, WIDE_CURVE = 16, 48
LEAST_BAR = 10
_STYLES = {"running": "cyan", "complete": "green", "failed": "red", "interrupted": "red"}


@dataclass
class Line:
    """One line of the picture."""

    text: Text
    rank: int
    """Where the terminal is too low, lines of the highest rank go first."""


def picture(run: FollowedRun, now: datetime, width: int, height: int | None = None) -> Text:
    """The run in lines of at most `width` characters, and at most `height` of them; None: all."""
    width = max(width, LEAST_WIDTH)
    lines = [*_head(run, now), *_progress(run, now, width), *_metrics(run, width), *_machine(run, width)]
    lines += _notes(run, room=None if height is None else height - len(lines) - 1)
    if height is not None:
        lines = _fitting(lines, height)
    for line in lines:
        line.text.truncate(width, overflow="ellipsis")
    return Text("\n").join(line.text for line in lines)


def _fitting(lines: list[Line], height: int) -> list[Line]:
    """The most important lines, in order; of equal ones the last go first."""
    order = sorted(range(len(lines)), key=lambda place: (lines[place].rank, place))
    kept = set(order[: max(1, height)])
    return [line for place, line in enumerate(lines) if place in kept]


def _labelled(label: str, *parts: str | Text) -> Text:
    return Text.assemble((f"{label:<{LABEL_WIDTH}}", "bold"), *parts)


# -- head


def status_word(run: FollowedRun) -> str:
    """The status in one word or two: a training that is over may still be sealing."""
    status = run.status
    if status.status == "complete" and not run.has_ended:
        return "saved, sealing"
    if status.status == "running" and run.phase.began is None:
        return "preparing"
    reason = status.stop_reason or (printable(status.exception.type) if status.exception else None)
    return f"{status.status} ({reason})" if reason else status.status


def _head(run: FollowedRun, now: datetime) -> list[Line]:
    text = Text.assemble((printable(run.run.name), "bold"), "  ")
    text.append(status_word(run), _STYLES.get(run.status.status, ""))
    if run.has_ended:
        text.append(", sealed" if run.status.sealed else ", not sealed")
    elif run.began is not None:
        text.append(f"  since {duration((now - run.began).total_seconds())}", "dim")
    silence = now.timestamp() - run.last_sign if run.last_sign is not None else 0.0
    if run.status.status == "running" and silence > STALE_SECONDS:
        text.append(f"  no sign for {duration(silence)}", "yellow")
    lines = [Line(text, 0)]
    for trouble, style in ((run.trouble, "red"), (run.status.note, "yellow")):
        if trouble:
            lines.append(Line(Text(printable(trouble), style), 2))
    if run.fault_count:
        lines.append(Line(Text(f"{counted(run.fault_count, 'line')} of the journal cannot be read", "yellow"), 4))
    if run.progress_of_reading < 1 and run.epochs_done:
        lines.append(Line(Text(f"reading the journal, {run.progress_of_reading:.0%}", "dim"), 5))
    return lines


# -- progress


def _progress(run: FollowedRun, now: datetime, width: int) -> list[Line]:
    phase = run.phase
    done = f"{phase.epochs_done:,} of {phase.planned_epochs:,}" if phase.planned_epochs else f"{phase.epochs_done:,}"
    which = f" (phase {phase.number + 1})" if run.phase_count > 1 else ""
    eta = _eta(run, now)
    if not phase.planned_epochs:
        return [Line(_labelled("epochs", done, which, eta), 0), *_steps(run)]
    share = min(1.0, (phase.epochs_done + run.epoch_share(now)) / phase.planned_epochs)
    after = f"  {done}{which}{eta}"
    bar = _bar(share, max(8, min(40, width - LABEL_WIDTH - len(after))), "cyan")
    return [Line(_labelled("epochs", bar, after), 0), *_steps(run)]


def _eta(run: FollowedRun, now: datetime) -> str:
    if run.status.status != "running" or run.phase.began is None:
        return ""
    left = run.seconds_left(now)
    if left is None or not run.phase.epochs_done:
        return f"  first epoch since {duration((now - run.phase.began).total_seconds())}"
    if run.phase.planned_epochs == run.phase.epochs_done:
        return "  saving"
    end = (now + timedelta(seconds=left)).astimezone()
    clock = end.strftime("%H:%M:%S") if left < 12 * 3600 else end.strftime("%a %d %b %H:%M")
    return f"  {duration(left)} left, until {clock}"


def _steps(run: FollowedRun) -> Iterable[Line]:
    phase = run.phase
    usual = run.usual_epoch_seconds()
    parts = [f"{usual:.3g} s each" if usual < 60 else f"{duration(usual)} each"] if usual else []  # noqa: PLR2004
    if phase.step_count:
        parts.append(f"{counted(phase.step_count, 'step')} an epoch")
    elif phase.batch_count:
        parts.append(f"{phase.batch_count:,} batches an epoch")
    if phase.median_step_seconds:
        parts.append(f"{_step_time(phase.median_step_seconds)} a step")
    if run.step_count:
        parts.append(f"{run.step_count:,} steps so far")
    if parts:
        yield Line(_labelled("", Text(", ".join(parts), "dim")), 3)


def _step_time(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"  # noqa: PLR2004


# -- metrics


def _metrics(run: FollowedRun, width: int) -> list[Line]:
    if not run.metrics:
        return []
    names = sorted(run.metrics, key=lambda name: _place_of_metric(name, run.monitor))
    name_width = max(LABEL_WIDTH - 1, min(24, width - 56, max(len(printable(name)) for name in names) + 2))
    curve = min(WIDE_CURVE, width - name_width - 40)
    head = f"{'':<{name_width}}{'last':>12}{'best':>12}{'epoch':>8}"
    lines = [Line(Text(head + ("    curve" if curve >= NARROW_CURVE else ""), "dim"), 4)]
    for place, name in enumerate(names):
        text = _metric(run, name, name_width, curve)
        lines.append(Line(text, 1 if place < 2 else 3 + place // 4))  # noqa: PLR2004
    if run.test_metrics:
        values = ", ".join(f"{printable(name)} {value:.4g}" for name, value in run.test_metrics.items())
        lines.append(Line(_labelled("test", values), 2))
    return lines


def _place_of_metric(name: str, monitor: str | None) -> tuple[bool, bool, str, str]:
    plain = name.removeprefix("val_")
    return name != monitor, plain != "loss", plain, name


def _metric(run: FollowedRun, name: str, name_width: int, curve_width: int) -> Text:
    metric = run.metrics[name]
    is_monitored = name == run.monitor
    shown = printable(name)
    shown = shown if len(shown) < name_width - 1 else f"{shown[: name_width - 3]}…"
    text = Text(f"{shown + (' *' if is_monitored else ''):<{name_width}}", "bold" if is_monitored else "")
    text.append(f"{_value(metric.curve.latest):>12}", "" if not _is_best_now(run, metric) else "green")
    text.append(f"{_value(metric.best):>12}")
    text.append(f"{metric.best_epoch if metric.best_epoch is not None else '-':>8}", "dim")
    if curve_width >= NARROW_CURVE:
        text.append("    ")
        text.append(sparkline(metric.curve.values, curve_width), "cyan")
    return text


def _is_best_now(run: FollowedRun, metric: FollowedMetric) -> bool:
    return metric.best_epoch is not None and metric.best_epoch == run.epochs_done


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


# -- machine


def _machine(run: FollowedRun, width: int) -> list[Line]:
    lines = []
    lines += [Line(text, 2 + 3 * place) for place, text in enumerate(_memory(run, width))]
    lines += [Line(text, 5) for text in _gpus(run)]
    processor = run.utilisation.latest("cpu_percent")
    if processor is not None:
        machine = run.utilisation.latest("system_cpu_percent")
        text = f"{processor:.0f} % of a core" + (f", the machine {machine:.0f} %" if machine is not None else "")
        lines.append(Line(_labelled("processor", text), 5))
    temperature = _temperature(run)
    if temperature:
        lines.append(Line(_labelled("heat", temperature), 4))
    breaks = run.counts.get("cooling_break", 0)
    if breaks:
        text = f"{counted(breaks, 'break')}, {duration(run.cooling_seconds)} in all"
        lines.append(Line(_labelled("cooling", text), 4))
    return lines


def _memory(run: FollowedRun, width: int) -> list[Text]:
    """What the guard looks at against its limits, and the resident memory: in one line where there is room."""
    anonymous, resident = run.memory.latest("anonymous_bytes"), run.memory.latest("rss_bytes")
    if anonymous is None and resident is None:
        return []
    used = anonymous if anonymous is not None else resident or 0.0
    soft, hard = (run.phase.limits.get(f"memory_{name}_bytes") for name in ("soft", "hard"))
    peak = run.memory.largest("peak_rss_bytes")
    first = size(used) + (" anonymous" if anonymous is not None else " resident")
    first += f", soft limit {size(soft)}, hard {size(hard)}" if soft and hard else ""
    second = f"resident {size(resident)}" + (f", at most {size(peak)}" if peak is not None else "")
    room = width - LABEL_WIDTH - len(first) - 2
    bar = Text()
    if soft and hard and room >= LEAST_BAR:
        style = "red" if used >= hard else "yellow" if used >= soft else "green"
        bar = _bar(used / hard, min(16, room), style, mark=soft / hard).append("  ")
    line = _labelled("memory", bar, first)
    if line.cell_len + len(second) + 2 <= width:
        return [line.append(f"; {second}")]
    return [line, _labelled("", second)]


def _gpus(run: FollowedRun) -> Iterable[Text]:
    for name in run.memory.columns:
        if name.startswith("gpu_") and name.endswith("_used_bytes"):
            device = name.removesuffix("_used_bytes")
            busy, used = run.utilisation.latest(f"{device}_utilisation_percent"), run.memory.latest(name)
            if used is not None:
                text = f"{size(used)} in use" + (f", busy {busy:.0f} %" if busy is not None else "")
                yield _labelled(device.replace("_", " "), text)


def _temperature(run: FollowedRun) -> str:
    parts = []
    for name, curve in run.temperature.columns.items():
        if curve.latest is not None and curve.largest is not None:
            part = name.removesuffix("_celsius")
            limit = run.phase.limits.get(f"{part.split('_')[0]}_celsius")
            text = f"{part.replace('_', ' ')} {curve.latest:.0f} °C, at most {curve.largest:.0f}"
            parts.append(text + (f", limit {limit:.0f}" if limit is not None else ""))
    return "; ".join(parts)


# -- notes


def _notes(run: FollowedRun, room: int | None) -> list[Line]:
    """The latest notes, as many as there is room for, but one at least."""
    count = max(1, min(8, room if room is not None else 8))
    shown = list(run.notes)[-count:]
    lines = []
    for place, note in enumerate(shown):
        style = "red" if note.text.startswith(("failed", "memory")) else ""
        at = note.at.astimezone().strftime("%H:%M:%S")
        is_last = place == len(shown) - 1
        lines.append(Line(_labelled(at, Text(note.text, style)), 2 if is_last else 6))
    return lines


# -- words


def _bar(share: float, width: int, style: str, mark: float | None = None) -> Text:
    """A bar of `width` characters; `mark` is a share of it that is marked."""
    filled = round(max(0.0, min(1.0, share)) * width)
    text = Text("█" * filled, style)
    text.append("░" * (width - filled), "dim")
    if mark is not None and 0 <= mark < 1:
        place = int(mark * width)
        return Text.assemble(text[:place], ("│", "yellow"), text[place + 1 :])
    return text


def duration(seconds: float) -> str:
    """`12 s`, `3 min 12 s`, `5 h 20 min`, `6 d 3 h`."""
    whole = max(0, round(seconds))
    for unit, smaller, length, part in (("d", "h", 86400, 3600), ("h", "min", 3600, 60), ("min", "s", 60, 1)):
        if whole >= length:
            rest = whole % length // part
            return f"{whole // length} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def size(count: float | None) -> str:
    """Bytes in MiB or GiB."""
    value = (count or 0.0) / (1 << 20)
    return f"{value:,.0f} MiB" if value < 1024 else f"{value / 1024:,.1f} GiB"  # noqa: PLR2004


def epoch_line(run: FollowedRun, now: datetime) -> str:
    """The epoch that ended last in one line, for a log."""
    phase: FollowedPhase = run.phase
    planned = f" of {phase.planned_epochs:,}" if phase.planned_epochs else ""
    names: Sequence[str] = sorted(run.metrics, key=lambda name: _place_of_metric(name, run.monitor))
    values = []
    for name in names:
        metric = run.metrics[name]
        best = " (best)" if name == run.monitor and run.monitored_epoch == run.epochs_done else ""
        values.append(f"{printable(name)} {_value(metric.curve.latest)}{best}")
    left = run.seconds_left(now)
    end = f"; {duration(left)} left" if left else ""
    return f"epoch {phase.epochs_done:,}{planned}: {', '.join(values)}{end}"
