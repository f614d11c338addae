"""Runs a command under limits, and writes what it took as JSON: `python measured.py result.json BYTES program ...`.

A process of its own, since the memory that the kernel counts for a child begins with that of its parent.
"""

import json
import os
import resource
import sys
import time

MAXIMAL_SECONDS = 120
"""Of processor time: nobody waits for what hangs."""


def main() -> None:
    result, limit, *command = sys.argv[1:]
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_AS, (int(limit), int(limit)))
        resource.setrlimit(resource.RLIMIT_CPU, (MAXIMAL_SECONDS, MAXIMAL_SECONDS))
        os.execvp(command[0], command)
    _, status, usage = os.wait4(child, 0)
    taken = {
        "code": os.waitstatus_to_exitcode(status),
        "seconds": time.perf_counter() - began,
        "processor_seconds": usage.ru_utime + usage.ru_stime,
        "mebibytes": usage.ru_maxrss / 1024,
    }
    with open(result, "w", encoding="utf-8") as file:
        json.dump(taken, file)


main()
