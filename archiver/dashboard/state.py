"""What all pages share: the store, opened once, and brought up to date at most every other second."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from archiver.archive.run import Run
from archiver.catalog.store import Store
from archiver.errors import ArchiverError

REFRESH_SECONDS = 2.0
LIVE_SECONDS = 3.0
"""How often an open page looks whether something has changed."""


class SharedStore:
    """A store for all sessions of the dashboard."""

    def __init__(self, path: Path) -> None:
        self.store = Store(path, refreshed=False)
        self._lock = threading.Lock()
        self._refreshed = 0.0
        self.problem: str | None = None
        """Why it could not be brought up to date."""

    def current(self) -> Store:
        """The store, not older than `REFRESH_SECONDS`."""
        with self._lock:
            if time.monotonic() - self._refreshed > REFRESH_SECONDS:
                try:
                    self.store.refresh()
                    self.problem = None
                except ArchiverError as error:
                    self.problem = str(error)
                self._refreshed = time.monotonic()
        return self.store


@st.cache_resource(show_spinner="Reading the archives ...")
def _shared(path: str) -> SharedStore:
    shared = SharedStore(Path(path))
    shared.current()
    return shared


def shared_store() -> SharedStore:
    """That of the folder on the command line."""
    found: SharedStore = _shared(sys.argv[1])
    return found


def run_of(store: Store, path: str) -> Run | None:
    """The run of a path; None: the catalogue does not know it, so that no other folder can be asked for."""
    if store.find(path) is None:
        return None
    try:
        return Run.open(store.path / path)
    except ArchiverError:
        return None


def query_paths() -> list[str]:
    """The runs that the address names."""
    found: list[str] = st.query_params.get_all("path")
    return found


def rerun_when(changed: Callable[[], object]) -> None:
    """Show the page again as soon as a value is another one; it is looked at every `LIVE_SECONDS`.

    Args:
        changed: gives the value, quickly.
    """
    now = changed()

    @st.fragment(run_every=LIVE_SECONDS)
    def look() -> None:
        if changed() != now:
            st.rerun()

    look()
