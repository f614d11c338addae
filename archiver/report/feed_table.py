"""The table of data sets that read windows from disk: what is fed, in which order, changed how, of which groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archiver.report.tables import Table, made
from archiver.report.values import split_title

SHOWN_NAMES = 6
_ORDERS = {"windows": "any order", "blocks": "by blocks"}


def feed_table(preprocessing: Any, stats: Any) -> Table:
    """One row per data set; what is said in another way than archiver says it is left out."""
    told = preprocessing.data_sets if preprocessing is not None else {}
    splits = stats.splits if stats is not None else {}
    rows = [_row(name, feed, splits.get(name)) for name, feed in told.items() if isinstance(feed, Mapping)]
    return made(("data", "windows", "read from", "order", "changed at random", "groups"), "lrllll", rows)


def _row(name: str, feed: Mapping[str, Any], split: Any) -> tuple[object, ...]:
    count = feed.get("windows")
    return (
        split_title(name),
        count if isinstance(count, int) else None,
        _sources(feed.get("inputs")),
        _order(feed),
        _changes(feed.get("augmentation")),
        _groups(split),
    )


def _sources(inputs: Any) -> str:
    named = inputs if isinstance(inputs, Mapping) else {}
    texts = {name: _source(source) for name, source in named.items() if isinstance(source, Mapping)}
    if list(texts) == ["x"]:
        return texts["x"]
    return "; ".join(f"{name}: {text}" for name, text in texts.items())


def _source(source: Mapping[str, Any]) -> str:
    parts = source.get("sources")
    if isinstance(parts, list):
        return _listed([_source(part) for part in parts if isinstance(part, Mapping)])
    kind = str(source.get("kind", "")).replace("_", " ")
    return f"{kind} {source['file']}" if isinstance(source.get("file"), str) else kind


def _order(feed: Mapping[str, Any]) -> str:
    shuffle = feed.get("shuffle")
    if not isinstance(shuffle, str):
        return "as they stand"
    return f"{_ORDERS.get(shuffle, shuffle)}, seed {feed.get('seed')}"


def _changes(augmentation: Any) -> str:
    named = augmentation if isinstance(augmentation, Mapping) else {}
    texts = {name: _operations(each) for name, each in named.items() if isinstance(each, Mapping)}
    if list(texts) == ["x"]:
        return texts["x"]
    return "; ".join(f"{name}: {text}" for name, text in texts.items())


def _operations(augmentation: Mapping[str, Any]) -> str:
    steps = augmentation.get("operations")
    if not isinstance(steps, list):
        return str(augmentation.get("class", ""))
    names = [str(step.get("operation", "")) for step in steps if isinstance(step, Mapping)]
    return ", ".join(name.replace("_", " ") for name in names if name)


def _groups(split: Any) -> str:
    groups = split.groups if split is not None else {}
    return ", ".join(f"{kind} {part.group_count:,}" for kind, part in groups.items())


def _listed(texts: list[str]) -> str:
    left_out = len(texts) - SHOWN_NAMES
    return ", ".join(texts[:SHOWN_NAMES]) + (f" and {left_out} more" if left_out > 0 else "")
