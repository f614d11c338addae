"""What Streamlit runs for every visitor; started by `archiver dashboard`."""

from __future__ import annotations

import streamlit as st

from archiver.dashboard import compare_page, ensembles_page, run_page, runs_page
from archiver.dashboard.state import shared_store
from archiver.dashboard.texts import problem

# No icons: Streamlit has the one of the page's tab fetched from elsewhere.
PAGES = {
    "runs": st.Page(runs_page.show, title="Runs", url_path="runs", default=True),
    "run": st.Page(run_page.show, title="One run", url_path="run"),
    "compare": st.Page(compare_page.show, title="Compare", url_path="compare"),
    "ensembles": st.Page(ensembles_page.show, title="Ensembles", url_path="ensembles"),
}

st.set_page_config(page_title="archiver", layout="wide")
st.session_state["pages"] = PAGES
page = st.navigation(list(PAGES.values()))
if shared_store().problem is not None:
    problem(f"The catalogue could not be brought up to date: {shared_store().problem}")
page.run()
