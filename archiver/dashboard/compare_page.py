"""Several runs: their curves over each other, their values side by side; what was done differently, and the verdict."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from archiver.archive.findings import printable
from archiver.archive.run import Run
from archiver.catalog.columns import COLUMNS
from archiver.catalog.store import Store
from archiver.comparison.comparing import Comparison, compare
from archiver.dashboard import figures
from archiver.dashboard.charts import chart, table
from archiver.dashboard.history import read_metrics
from archiver.dashboard.runs_page import MAXIMAL_COMPARED
from archiver.dashboard.state import query_paths, run_of, shared_store
from archiver.dashboard.texts import facts, heading, problem, shown
from archiver.report.comparison_words import LAYER_HEAD, METRIC_HEAD, gaps_of, layer_row, metric_row, verdict_lines

_COMPARED = tuple(
    column.name for column in COLUMNS if column.name not in ("name", "path", "problem", "command", "parents")
)
MAXIMAL_SHOWN = 3


def show() -> None:
    """The page."""
    st.title("Compare")
    store = shared_store().current()
    paths = [str(row["path"]) for row in store.runs(columns=["path"])]
    chosen = st.multiselect(
        "Runs", paths, default=[path for path in query_paths() if path in paths], format_func=shown, key="compared",
        max_selections=MAXIMAL_COMPARED, placeholder="Choose two runs or more",
    )  # fmt: skip
    if st.query_params.get_all("path") != chosen:
        st.query_params["path"] = chosen
    runs = {path: run for path in chosen if (run := run_of(store, path)) is not None}
    if len(runs) < 2:  # noqa: PLR2004 - one run cannot be compared
        st.info("Choose at least two runs here, or in the table of runs.")
        return
    if len(runs) < len(chosen):
        problem("Some of these runs are not in the folder any more.")
    _curves(runs)
    _values(store, list(runs))
    _changes(runs)


def _curves(runs: dict[str, Run]) -> None:
    metrics = {shown(path.removesuffix("_models"), 80): read_metrics(run) for path, run in runs.items()}
    names = list(dict.fromkeys(name.removeprefix("val_") for each in metrics.values() for name in each))
    if not names:
        st.info("None of these runs has ended an epoch yet.")
        return
    wanted = st.multiselect("Metrics", names, default=names[:MAXIMAL_SHOWN], format_func=shown, key="metrics")
    for name in wanted:
        chart(figures.curves(metrics, name), f"compared {name}")


def _values(store: Store, paths: list[str]) -> None:
    st.subheader("Values side by side")
    rows = {path: (store.find(path) or {}) for path in paths}
    metrics = {path: store.metrics_of(path) for path in paths}
    names = sorted(dict.fromkeys(name for each in metrics.values() for name in each))
    columns = {
        shown(path.removesuffix("_models"), 80): [
            *(_text(metrics[path].get(name)) for name in names),
            *(_text(rows[path].get(name)) for name in _COMPARED),
        ]
        for path in paths
    }
    frame = pd.DataFrame({"value": [*(shown(name, 80) for name in names), *_COMPARED]} | columns)
    differs = frame.iloc[:, 1:].nunique(axis=1, dropna=False) > 1
    if st.checkbox("Only what differs", value=True):
        frame = frame[differs]
    st.dataframe(frame, hide_index=True, alt="Values side by side")


def _text(value: object) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else shown(value, 200)


def _changes(runs: dict[str, Run]) -> None:
    st.subheader("What was done differently")
    first, *others = runs
    tensors = st.checkbox("How far the weights are apart", value=False, help="Reads the weights that differ.")
    for path in others:
        found = compare(runs[first], runs[path], tensors=tensors)
        before, after = shown(first.removesuffix("_models"), 60), shown(path.removesuffix("_models"), 60)
        heading(f"{before} (A) and {after} (B): {found.verdict.outcome}", 3)
        facts(verdict_lines(found.verdict))
        _causes(found, before, after, path)
        _effects(found, path)
        for place, part in enumerate(found.code):
            with st.expander(f"Code: {place + 1} of {len(found.code)}"):
                st.code("\n".join(printable(line) for line in part.diff) or part.note, language="diff")
        if gaps := gaps_of(found):
            frame = pd.DataFrame({"not compared": [shown(text) for text in gaps]})
            table(frame, f"{len(gaps)} not compared", key=f"gaps {path}")


def _causes(found: Comparison, before: str, after: str, path: str) -> None:
    if not found.causes:
        st.info("Nothing that is compared: data, model, training, code, packages and machine are the same.")
        return
    rows = [tuple(map(shown, (each.kind, each.subject, *each.texts, each.why))) for each in found.causes]
    columns = ["about", "subject", before, f"{after} " if after == before else after, "why it matters"]
    table(pd.DataFrame(rows, columns=columns), f"{len(rows)} differences", key=f"changes {path}")


def _effects(found: Comparison, path: str) -> None:
    metrics, weights = found.effects.metrics, found.effects.weights
    if metrics:
        rows = [tuple(map(shown, metric_row(each))) for each in metrics]
        table(pd.DataFrame(rows, columns=list(METRIC_HEAD)), f"{len(rows)} metrics differ", key=f"metrics {path}")
    if weights is not None and weights.distance is not None:
        rows = [tuple(map(shown, layer_row(each))) for each in weights.layers]
        table(pd.DataFrame(rows, columns=list(LAYER_HEAD)), f"{len(rows)} layers differ", key=f"layers {path}")
