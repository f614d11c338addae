"""Events of the journal in one line for whoever watches; nothing in them is trusted."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from archiver.archive.phases import real

MAXIMAL_LENGTH = 300

Details = dict[str, Any]


def told(event: str, details: Details) -> str | None:
    """What an event says, cut to `MAXIMAL_LENGTH` characters; None for those of a training that goes well."""
    teller = _TELLERS.get(event)
    return teller(details)[:MAXIMAL_LENGTH] if teller is not None else None


def _cooling_break(details: Details) -> str:
    parts = []
    for part in ("cpu", "gpu"):
        before, after = real(details.get(f"{part}_before_celsius")), real(details.get(f"{part}_after_celsius"))
        if before is not None and after is not None:
            parts.append(f"{part} {before:.0f} to {after:.0f} °C")
    seconds = real(details.get("duration_seconds"))
    return f"cooling break of {seconds or 0:.0f} s" + (f": {', '.join(parts)}" if parts else "")


def _memory_alert(details: Details) -> str:
    used, limit = (_mebibytes(details.get(name)) for name in ("used_bytes", "limit_bytes"))
    end = "; training ends after this step" if details.get("level") == "hard" else ""
    return f"memory alert: the {details.get('gauge')} has {used}, {details.get('level')} limit {limit}{end}"


def _warning(details: Details) -> str:
    return f"warning: {details.get('message')}"


def _step_failed(details: Details) -> str:
    exception = details.get("exception")
    text = f": {exception.get('type')}: {exception.get('message')}" if isinstance(exception, dict) else ""
    return f"could not archive {details.get('step')}{text}"


def _status(details: Details) -> str:
    exception = details.get("exception")
    if isinstance(exception, dict):
        return f"{details.get('status')}: {exception.get('type')}: {exception.get('message')}"
    reason = details.get("stop_reason") or details.get("note")
    return f"{details.get('status')}" + (f" ({reason})" if reason else "")


def _repaired(details: Details) -> str:
    files = details.get("files")
    parts = [part for part in files if isinstance(part, dict)] if isinstance(files, list) else []
    rebuilt = [str(part.get("file")) for part in parts if part.get("what") == "rebuilt"]
    return f"repaired: {len(parts)} damaged files; written anew from their tensors: {', '.join(rebuilt) or 'none'}"


def _mebibytes(value: Any) -> str:
    number = real(value)
    return "?" if number is None or not math.isfinite(number) else f"{number / (1 << 20):,.0f} MiB"


_TELLERS: dict[str, Callable[[Details], str]] = {
    "cooling_break": _cooling_break,
    "memory_alert": _memory_alert,
    "warning": _warning,
    "repaired": _repaired,
    "step_failed": _step_failed,
    "status": _status,
}
