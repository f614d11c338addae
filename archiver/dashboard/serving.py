"""Starting the dashboard: Streamlit in a process of its own, reachable from this machine alone unless asked for."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
import webbrowser
from collections.abc import Callable
from pathlib import Path

from archiver.errors import ArgumentError, MissingExtraError, RunStateError

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
    "--client.showSidebarNavigation=true",
)


def require_extra() -> None:
    """Refuse without what the dashboard needs.

    Raises:
        MissingExtraError: it is not installed.
    """
    for module in ("streamlit", "plotly", "pandas", "sqlalchemy", "msgspec"):
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError(f'The dashboard needs {module}: pip install "keras-archiver[dashboard]".')


def serve(store: Path, host: str, port: int, *, open_browser: bool, tell: Callable[[str], None]) -> int:
    """Run the dashboard until it is ended, such as by Ctrl-C.

    Args:
        store: the folder of runs.
        host: the address to listen on.
        port: 0: any that is free.
        open_browser: whether to show it.
        tell: gets the lines for the user.

    Returns:
        the exit status.

    Raises:
        ArgumentError: there is no such folder, or nothing can listen there.
        MissingExtraError: the extra is not installed.
        RunStateError: it did not start.
    """
    require_extra()
    if not store.is_dir():
        raise ArgumentError(f"Received {store}. Expected a folder that holds archives.")
    port = _free_port(host, port)
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    app = Path(__file__).with_name("app.py")
    command = [sys.executable, "-m", "streamlit", "run", str(app), f"--server.address={host}", f"--server.port={port}"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = subprocess.Popen(
        [*command, *_SETTINGS, "--", str(store.absolute())], env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait_until_it_answers(process, address)
        tell(f"{store}: {address}   (Ctrl-C ends it)")
        if host not in (LOOPBACK, "localhost", "::1"):
            tell("Whoever can reach this address can read every run in this folder: there is no password.")
        if open_browser:
            webbrowser.open(address)
        return process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        process.terminate()
        process.wait()


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


def _wait_until_it_answers(process: subprocess.Popen[bytes], address: str) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends:
        if process.poll() is not None:
            raise RunStateError(
                f"the dashboard ended at once, with status {process.returncode}; the lines above say why"
            )
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):  # noqa: S310 - our own address
                return
        except OSError:
            time.sleep(0.1)
    raise RunStateError(f"the dashboard did not answer at {address} within {PATIENCE_SECONDS:.0f} s")
