"""The table of runs: filtered, sorted, chosen from."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from archiver.catalog.columns import BY_NAME, LISTED
from archiver.catalog.store import Store
from archiver.dashboard.state import rerun_when, shared_store
from archiver.dashboard.texts import paragraph, problem, shown
from archiver.errors import ArgumentError

MAXIMAL_COMPARED = 12
MAXIMAL_ROWS = 20_000
"""More than a browser shows at ease."""
_ALWAYS = ("path",)
STATUSES = ("complete", "failed", "interrupted", "running", "unreadable")


def show() -> None:
    """The page."""
    st.title("Runs")
    store = shared_store().current()
    if not store.count():
        st.info(
            "There are no runs in this folder yet. Give `archiver.RunArchiver(folder, name=...)` to `model.fit` as a "
            "callback; this page shows the run as soon as it begins."
        )
        rerun_when(lambda: shared_store().current().count())
        return
    where, statuses, columns = _asked_for(store)
    try:
        rows = _rows(store, where, statuses, columns)
    except ArgumentError as error:
        problem(error)
        return
    rerun_when(lambda: _rows(shared_store().current(), where, statuses, columns))
    more = f"; only these {MAXIMAL_ROWS:,} are shown, the youngest" if len(rows) == MAXIMAL_ROWS else ""
    st.caption(f"{len(rows):,} of {store.count():,} runs{more}")
    if not rows:
        st.info("No run fits the filter. Clear a field above to see more.")
        return
    _table(rows, columns)


def _asked_for(store: Store) -> tuple[str, list[str], list[str]]:
    names = [name for name, *_ in store.names()]
    left, middle, right = st.columns([5, 3, 4])
    where: str = left.text_input(
        "Filter", key="where", placeholder="val_accuracy > 0.9 and peak_rss < 4GB",
        help="Columns and metrics compared with values that may have units; and, or, not, contains, in (...), is null.",
    )  # fmt: skip
    statuses: list[str] = middle.multiselect("Status", STATUSES, key="status", placeholder="any")
    default = [*LISTED, *(name for name in ("val_loss", "val_accuracy") if name in names)]
    columns: list[str] = right.multiselect("Columns", names, default=default, key="columns")
    return where, statuses, columns or ["name"]


def _rows(store: Store, where: str, statuses: list[str], columns: list[str]) -> list[dict[str, Any]]:
    quoted = ", ".join(f'"{status}"' for status in statuses)
    parts = [f"({where})"] if where.strip() else []
    if where.strip():
        store.runs(where, columns=["name"], limit=1)  # so that an error points into what was typed
    parts += [f"status in ({quoted})"] if statuses else []
    wanted = [*columns, *(name for name in _ALWAYS if name not in columns)]
    return store.runs(" and ".join(parts) or None, columns=wanted, limit=MAXIMAL_ROWS)


def _table(rows: list[dict[str, Any]], columns: list[str]) -> None:
    frame = pd.DataFrame(rows)
    for name in frame.columns:
        column = BY_NAME.get(name)
        if column is not None and column.kind == "time":
            frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
        elif column is not None and column.unit == "bytes":
            frame[name] /= 1 << 20
        elif column is not None and column.kind == "text":
            frame[name] = [value if value is None else shown(value) for value in frame[name]]
    event = st.dataframe(
        frame,
        hide_index=True,
        column_order=columns,
        column_config={name: _config(name) for name in frame.columns},
        on_select="rerun",
        selection_mode="multi-row",
        height=min(38 + 35 * len(rows), 720),
        key="runs",
        alt="Table of runs",
    )
    chosen = [str(rows[place]["path"]) for place in event["selection"]["rows"] if place < len(rows)]
    _actions(chosen)
    with st.expander("Open a run by its name"):
        path = st.selectbox("Run", [str(row["path"]) for row in rows], index=None, format_func=shown, key="by name")
        if path is not None and st.button("Open this run"):
            _go("run", [path])


def _config(name: str) -> Any:
    column = BY_NAME.get(name)
    if column is not None and column.unit == "bytes":
        return st.column_config.NumberColumn(f"{column.short_name} (MiB)", format="%,.0f", help=column.description)
    if column is not None and column.unit is not None:
        return st.column_config.NumberColumn(f"{column.short_name} ({column.unit})", format="%,.1f")
    if column is not None and column.kind == "time":
        return st.column_config.DatetimeColumn(name, format="YYYY-MM-DD HH:mm", help=column.description)
    return st.column_config.Column(name, help=column.description if column is not None else "metric, its last value")


def _actions(chosen: list[str]) -> None:
    if not chosen:
        paragraph("Choose runs by the boxes on the left: one to open it, several to compare them.")
        return
    left, right, _ = st.columns([2, 3, 7])
    if left.button("Open", disabled=len(chosen) != 1, type="primary"):
        _go("run", chosen)
    several = 1 < len(chosen) <= MAXIMAL_COMPARED
    if right.button(f"Compare {len(chosen)} runs", disabled=not several, help=f"2 to {MAXIMAL_COMPARED} runs"):
        _go("compare", chosen)


def _go(page: str, paths: list[str]) -> None:
    st.switch_page(st.session_state["pages"][page], query_params={"path": paths})
