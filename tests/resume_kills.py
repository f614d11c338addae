"""Print the table of docs/resume.md from the log of the kills.

ARCHIVER_KILL_LOG=kills.jsonl ARCHIVER_STRESS=1 python -m pytest -m stress tests/training/test_resume.py
python -m tests.resume_kills kills.jsonl
"""

import json
import sys
from collections import defaultdict
from pathlib import Path


def table(lines: list[str]) -> str:
    """Markdown: by scenario, trainings that came to the same end, and how often they were killed."""
    kills: dict[str, list[int]] = defaultdict(list)
    for line in lines:
        entry = json.loads(line)
        kills[entry["what"]].append(entry["kills"])
    rows = [f"| {what} | {len(each)} | {sum(each)} |" for what, each in sorted(kills.items())]
    total = f"| **all** | {sum(map(len, kills.values()))} | {sum(map(sum, kills.values()))} |"
    return "\n".join(["| scenario | trainings | kills |", "|---|---|---|", *rows, total])


if __name__ == "__main__":
    print(table(Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()))
