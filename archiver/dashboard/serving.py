"""Starting the dashboard: Streamlit, reachable from this machine alone unless asked for otherwise."""

from __future__ import annotations

import importlib.util
import socket
import threading
import time
import urllib.request
import webbrowser
from collections.abc import Callable
from pathlib import Path

from archiver.errors import ArgumentError, MissingExtraError

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 8501
PATIENCE_SECONDS = 60.0
_SETTINGS = (
    "--server.headless=true",
    "--server.fileWatcherType=none",
    "--server.maxUploadSize=1",
    "--browser.gatherUsageStats=false",
    "--client.toolbarMode=minimal",
    "--client.showErrorDetails=none",
    "--logger.hideWelcomeMessage=true",
    "--logger.level=warning",
)


def require_extra() -> None:
    """Refuse without what the dashboard needs.

    Raises:
        MissingExtraError: it is not installed.
    """
    for module in ("streamlit", "plotly", "pandas", "sqlalchemy", "msgspec"):
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError(f'The dashboard needs {module}: pip install "keras-archiver[dashboard]".')


def serve(store: Path, host: str, port: int, *, open_browser: bool, tell: Callable[[str], None]) -> None:
    """Run the dashboard in this process until it is ended, such as by Ctrl-C.

    Args:
        store: the folder of runs.
        host: the address to listen on.
        port: 0: any that is free.
        open_browser: whether to show it.
        tell: gets the lines for the user, in another thread.

    Raises:
        ArgumentError: there is no such folder, or nothing can listen there.
        MissingExtraError: the extra is not installed.
    """
    require_extra()
    if not store.is_dir():
        raise ArgumentError(f"Received {store}. Expected a folder that holds archives.")
    port = _free_port(host, port)
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def announce() -> None:
        if not _answers(address):
            return
        tell(f"{store}: {address}   (Ctrl-C ends it)")
        if host not in (LOOPBACK, "localhost", "::1"):
            tell("Whoever can reach this address can read every run in this folder: there is no password.")
        if open_browser:
            webbrowser.open(address)

    threading.Thread(target=announce, name="archiver-announce", daemon=True).start()
    from streamlit.web import cli

    app = str(Path(__file__).with_name("app.py"))
    settings = [f"--server.address={host}", f"--server.port={port}", *_SETTINGS]
    cli.main(["run", app, *settings, "--", str(store.absolute())], standalone_mode=False)


def _free_port(host: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            found: int = listener.getsockname()[1]
            return found
    except (OSError, OverflowError) as error:
        raise ArgumentError(
            f"Received --host {host} --port {port}, where nothing can listen: {error}. "
            "Expected a free port, or 0 for any."
        ) from error


def _answers(address: str) -> bool:
    """Whether the dashboard comes to answer."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):  # noqa: S310 - our own address
                return True
        except OSError:
            time.sleep(0.1)
    return False
