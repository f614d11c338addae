"""Ensembles: what was tried, what it brought, and what it took."""

from __future__ import annotations

from statistics import fmean
from typing import Any

import pandas as pd
import streamlit as st

from archiver.catalog.columns import ENSEMBLE_COLUMNS
from archiver.catalog.store import Store
from archiver.dashboard import figures
from archiver.dashboard.charts import chart, table
from archiver.dashboard.state import rerun_when, shared_store
from archiver.dashboard.texts import heading, paragraph, problem, shown

_NAMES = [column.name for column in ENSEMBLE_COLUMNS]
_TABLE = (
    "iteration", "candidate", "classifier_type", "score", "ensemble_score", "score_gain", "accepted",
    "training_memory_mb", "stage2_memory_mb", "training_seconds", "stage2_score", "stage2_run", "alerts", "error",
)  # fmt: skip


def show() -> None:
    """The page."""
    st.title("Ensembles")
    store = shared_store().current()
    ensembles = store.ensembles()
    if not ensembles:
        st.info(
            "There are no ensembles in this folder yet. `archiver.ensemble.hill_climb(folder, name=..., "
            "candidates=...)` makes one; this page follows it while it goes on."
        )
        rerun_when(lambda: len(shared_store().current().ensembles()))
        return
    paths = [str(each["path"]) for each in ensembles]
    asked = st.query_params.get("path")
    place = paths.index(asked) if asked in paths else 0
    path = st.selectbox("Ensemble", paths, index=place, format_func=shown)
    if path != asked:
        st.query_params["path"] = path
    chosen = ensembles[paths.index(path)]
    rows = _rows(store, path)
    heading(chosen["name"], 2)
    if chosen["problem"] is not None:
        problem(chosen["problem"])
    if not chosen["is_complete"]:
        rerun_when(lambda: len(_rows(shared_store().current(), path)))
    if not rows:
        st.info("No candidate was tried yet.")
        return
    _header(rows)
    memory, scores, tried = st.tabs(["Memory", "Scores", "Candidates"])
    with memory:
        _memory(rows)
    with scores:
        _scores(rows)
    with tried:
        _candidates(rows)


def _rows(store: Store, path: str) -> list[dict[str, Any]]:
    return [row for row in store.ensemble_log(columns=_NAMES) if row["path"] == path]


def _header(rows: list[dict[str, Any]]) -> None:
    training = [row["training_memory_mb"] for row in figures.known(rows, "training_memory_mb")]
    second = [row["stage2_memory_mb"] for row in figures.known(rows, "stage2_memory_mb")]
    score = rows[-1]["ensemble_score"]
    metrics = (
        ("Average training memory", f"{fmean(training):,.1f} MB" if training else "n/a"),
        ("Peak training memory", f"{max(training):,.1f} MB" if training else "n/a"),
        ("Average stage-2 memory", f"{fmean(second):,.1f} MB" if second else "n/a"),
        ("Accepted", f"{sum(bool(row['accepted']) for row in rows)} of {len(rows)}"),
        ("Score", f"{score:.5f}" if score is not None else "none"),
    )
    for column, (label, value) in zip(st.columns(len(metrics)), metrics, strict=True):
        column.metric(label, value)


def _memory(rows: list[dict[str, Any]]) -> None:
    """Each chart that has values; what has none is said once."""
    for row in rows:
        if row["alerts"]:
            problem(f"{row['candidate']}: {row['alerts']}")
    makers = (
        figures.memory_per_iteration,
        figures.memory_by_type,
        figures.stage_two_memory,
        figures.memory_efficiency,
        figures.memory_and_time,
        figures.predicted_memory,
    )
    left, right = st.columns(2)
    drawn = []
    for place, make in enumerate(makers):
        with (left, right)[place % 2]:
            drawn.append(chart(make(rows), make.__name__))
    if not any(drawn):
        st.info("Memory was not measured in this ensemble: its journal was written without it.")
    frame = pd.DataFrame(rows)[[name for name in _NAMES if "memory" in name or name in ("iteration", "candidate")]]
    table(_readable(frame), "Values")


def _scores(rows: list[dict[str, Any]]) -> None:
    if not chart(figures.scores(rows), "scores"):
        st.info("No candidate has a score.")


def _candidates(rows: list[dict[str, Any]]) -> None:
    st.dataframe(_readable(pd.DataFrame(rows)[list(_TABLE)]), hide_index=True, alt="Candidates")
    failed = [row for row in rows if row["error"]]
    if failed:
        paragraph(f"{len(failed)} could not be trained; the column error says why.")


def _readable(frame: pd.DataFrame) -> pd.DataFrame:
    for name in frame.select_dtypes(include=object).columns:
        frame[name] = [shown(value) if isinstance(value, str) else value for value in frame[name]]
    return frame
