"""One run: its report, curves, traces, files, relatives, and whether it is whole."""

from __future__ import annotations

import base64
from typing import Any

import pandas as pd
import streamlit as st

from archiver import layout
from archiver.archive.run import Run
from archiver.archive.summary import summary_rows
from archiver.archive.verifying import verify
from archiver.catalog.store import Store
from archiver.dashboard import figures
from archiver.dashboard.charts import chart, table
from archiver.dashboard.history import read_metrics
from archiver.dashboard.reports import report_page
from archiver.dashboard.state import query_paths, rerun_when, run_of, shared_store
from archiver.dashboard.texts import facts, heading, paragraph, problem, shown
from archiver.errors import ArchiverError
from archiver.report.relatives import relative_rows
from archiver.report.trace_rows import read_trace

REPORT_HEIGHT = 900
MAXIMAL_CURVES = 8
_TRACES = (
    ("Memory", "MiB", layout.MEMORY_TRACE, "_bytes"),
    ("Utilisation", "%", layout.UTILISATION_TRACE, "_percent"),
    ("Temperature", "°C", layout.TEMPERATURE_TRACE, "_celsius"),
)


def show() -> None:
    """The page."""
    store = shared_store().current()
    paths = query_paths()
    if not paths:
        st.title("One run")
        _choose(store)
        return
    run = run_of(store, paths[0])
    if run is None:
        problem(f"There is no run {shown(paths[0], 200)} in this folder any more. Expected a run of the table of runs.")
        return
    heading(run.name)
    _status(run)
    tabs = st.tabs(["Curves", "Report", "Resources", "Files", "Check", "Relatives"])
    for tab, fill in zip(tabs, (_curves, _report, _resources, _files, _check, _relatives), strict=True):
        with tab:
            fill(store, run, paths[0])
    if run.seal_id is None:
        rerun_when(lambda: _size_of_journal(run))


def _choose(store: Store) -> None:
    paths = [str(row["path"]) for row in store.runs(columns=["path"])]
    if not paths:
        st.info("There are no runs in this folder yet.")
        return
    path = st.selectbox("Run", paths, index=None, format_func=shown, placeholder="Choose a run")
    if path is not None:
        st.query_params["path"] = path
        st.rerun()


def _size_of_journal(run: Run) -> object:
    try:
        return run.path_of(layout.JOURNAL).stat().st_size, run.seal_id
    except (OSError, ArchiverError):
        return None


def _status(run: Run) -> None:
    try:
        text = run.status.describe()
    except ArchiverError as error:
        text = str(error)
    paragraph(text if run.seal_id is not None else f"{text}; not sealed: the page follows the run")
    with st.expander("Summary"):
        try:
            facts(list(summary_rows(run)))
        except ArchiverError as error:
            problem(error)


def _curves(_store: Store, run: Run, _path: str) -> None:
    metrics = read_metrics(run)
    names = dict.fromkeys(name.removeprefix("val_") for name in metrics)
    drawn = [chart(figures.curves({run.name: metrics}, name), f"curve {name}") for name in list(names)[:MAXIMAL_CURVES]]
    if not any(drawn):
        st.info("No epoch has ended yet.")
        return
    longest = max(map(len, metrics.values()), default=0)
    columns = {shown(name, 60): [*values, *[None] * (longest - len(values))] for name, values in metrics.items()}
    table(pd.DataFrame({"epoch": range(1, longest + 1)} | columns), "Values of every epoch")


def _report(_store: Store, run: Run, _path: str) -> None:
    page = report_page(run)
    if page is None:
        st.info(
            "There is no report yet: it is written when the run is sealed. `archiver finalize` seals what was cut off."
        )
        return
    # A data address has an origin of its own: nothing in it can reach the dashboard.
    st.iframe(
        "data:text/html;charset=utf-8;base64," + base64.b64encode(page.encode()).decode(),
        height=REPORT_HEIGHT,
        alt="Report of the run",
    )


def _resources(_store: Store, run: Run, _path: str) -> None:
    drawn = []
    for title, unit, file, suffix in _TRACES:
        trace = read_trace(run, file)
        columns = {name.removesuffix(suffix): trace.points(name) for name in trace.columns if name.endswith(suffix)}
        if unit == "MiB":
            columns = {
                name: (seconds, [each / (1 << 20) for each in values]) for name, (seconds, values) in columns.items()
            }
        drawn.append(chart(figures.trace(title, unit, columns), f"trace {title}"))
    if not any(drawn):
        st.info("Nothing was measured while this run trained: it was too short, or `sampling_hertz=None` was given.")


def _files(_store: Store, run: Run, _path: str) -> None:
    try:
        metadata = run.read_if_there(layout.METADATA)
    except ArchiverError as error:
        problem(error)
        return
    if metadata is None:
        st.info("The inventory is written when the run is sealed.")
        return
    rows = [{"file": shown(path), "bytes": part.size_bytes, "MD5": part.md5} for path, part in metadata.files.items()]
    st.dataframe(pd.DataFrame(rows), hide_index=True, alt="Files of the archive")
    paragraph(f"{len(rows)} files, {metadata.total_bytes:,} bytes, in {run.path}")


def _check(_store: Store, run: Run, path: str) -> None:
    deep = st.checkbox("Also compare every tensor of the models (slower)", key=f"deep {path}")
    if not st.button("Verify", type="primary", key=f"verify {path}"):
        st.caption("Reads every file and compares it with the seal, as `archiver verify` does.")
        return
    try:
        report = verify(run.path, deep=deep)
    except ArchiverError as error:
        problem(error)
        return
    if report.is_whole:
        st.success("Whole: every file is as it was sealed.")
    else:
        problem("\n".join(finding.describe() for finding in report.findings))
    paragraph(report.checked())
    for finding in report.information:
        paragraph(finding.describe())


def _relatives(store: Store, run: Run, path: str) -> None:
    rows = list(relative_rows(run))
    if rows:
        facts(rows)
    found = store.relatives(path)
    for title, runs in (
        ("It went on from the weights of", found["parents"]),
        ("Went on from its weights", found["children"]),
    ):
        if runs:
            st.subheader(title)
            _links(runs)
    if not rows and not any(found.values()):
        st.info("No other run of this folder has its name, its weights or goes on from it.")


def _links(runs: list[dict[str, Any]]) -> None:
    for row in runs:
        if st.button(_label(row["name"]), key=f"relative {row['path']}"):
            st.query_params["path"] = row["path"]
            st.rerun()


def _label(name: str) -> str:
    """Names of archives have no character of Markdown but `_`; others are shown as code."""
    return f"`{shown(name, 100).replace('`', ' ')}`"
