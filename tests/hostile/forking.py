"""Runs commands of archiver in forked children, each under limits: modules are imported once, not for each command.

    python -m tests.hostile.forking

reads a JSON object per line (`arguments`, `folder`, `address_space_bytes`, `seconds`) and answers with one
(`code`, `output`, `errors`, `processor_seconds`, `mebibytes`).
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from archiver.cli.main import COMMANDS, LazyGroup, main


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Run one command."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, "output"), Path(folder, "errors")]
        child = os.fork()
        if child == 0:
            run(request, paths)
        signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
        signal.alarm(int(request["seconds"]))
        _, status, usage = os.wait4(child, 0)
        signal.alarm(0)
        output, errors = (path.read_bytes().decode("utf-8", "surrogateescape") for path in paths)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "output": output,
        "errors": errors,
        "processor_seconds": usage.ru_utime + usage.ru_stime,
        "mebibytes": usage.ru_maxrss / 1024,
    }


def run(request: dict[str, Any], paths: list[Path]) -> None:
    """In the child: never returns."""
    os.chdir(request["folder"])
    limit = request["address_space_bytes"]
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for descriptor, path in enumerate(paths, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), descriptor)
    code: object = 70
    try:
        main(request["arguments"])
    except SystemExit as end:
        code = end.code
    except BaseException:
        import traceback

        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0)


def serve() -> None:
    """Answer until there are no more requests."""
    for name in COMMANDS:
        if name not in ("dashboard", "watch", "launch"):
            LazyGroup().get_command(None, name)  # type: ignore[arg-type]
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    serve()
