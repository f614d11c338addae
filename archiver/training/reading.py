"""Reading live objects of Keras and of users: what cannot be read says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archiver.collect.redaction import redact_json, redact_message
from archiver.records.base import Unavailable
from archiver.storage.jsonable import jsonable

_REASON_LENGTH = 500


def known(function: Callable[[], Any]) -> Any:
    """What `function` returns, or `Unavailable` with the reason; what it returns is not looked at."""
    try:
        return function()
    except Exception as error:  # noqa: BLE001 - a user's property may raise anything
        return Unavailable(unavailable=_reason(error))


def setting(owner: Any, path: str) -> Any:
    """The attribute `path` (dotted) of `owner`, called if it is a function; raises what reading it raises."""
    for name in path.split("."):
        owner = getattr(owner, name)
    return owner() if callable(owner) else owner


def known_setting(owner: Any, path: str) -> Any:
    """`setting`, or `Unavailable` with the reason, such as a version without it."""
    return known(lambda: setting(owner, path))


def or_reason(function: Callable[[], Any]) -> Any:
    """The value as plain JSON with secrets removed, or an `unavailable` object with the reason."""
    try:
        return redact_json(jsonable(function()))
    except Exception as error:  # noqa: BLE001 - a user's `get_config` may raise anything
        return {"unavailable": _reason(error)}


def _reason(error: Exception) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a user's exception may not even have a text
        text = "its text cannot be had"
    return f"{type(error).__name__}: {redact_message(text[:_REASON_LENGTH])}"


def whole(value: Any) -> int | None:
    """`value` as a whole number; None for anything else."""
    if value is None or isinstance(value, bool):
        return None
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def count_or(value: Any, reason: str) -> int | Unavailable:
    """`value` as a number of things, or `Unavailable` with `reason`."""
    number = whole(value)
    return number if number is not None and number >= 0 else Unavailable(unavailable=reason)
