"""An archive and an ensemble of a stranger, full of what must stay text."""

import json
from pathlib import Path

from archiver import layout
from archiver.ensemble.journal import JOURNAL_NAME
from archiver.testing import tiny_ensemble, tiny_run

SCRIPT = "<script>alert('pwned')</script>"
IMAGE = "<img src=http://evil.example/x.png onerror=alert('pwned')>"
LINK = "[c](javascript:alert('pwned')) :red[x] $x$ <b>b</b>"


def make_hostile(root: Path) -> None:
    run = tiny_run(root, "hostile", epochs=2)
    link = "[a link](javascript:alert(1)) ![p](http://evil.example/p.png)"
    readme = f"# {SCRIPT}\n\n{IMAGE}\n\n{link}\n\n<details open ontoggle=alert(1)>\n"
    run.path_of(layout.README).write_text(readme)
    run.path_of(layout.README_HTML).write_text(f"<html>{SCRIPT}{IMAGE}</html>")
    _change(
        run.path_of(layout.RESULTS), exception={"type": IMAGE, "message": SCRIPT, "location": None}, status="failed"
    )
    history = json.loads(run.path_of(layout.HISTORY).read_text())
    for phase in history["phases"]:
        phase["metrics"][IMAGE] = [1.0] * len(phase["epochs"])
    run.path_of(layout.HISTORY).write_text(json.dumps(history))
    _change(run.path_of(layout.RESULTS), final_metrics={IMAGE: 1.0, LINK: 2.0})
    _change(run.path_of(layout.RUN), group=SCRIPT, tags=[LINK])
    folder = tiny_ensemble(root, "strange", iterations=3)
    lines = [json.loads(line) for line in (folder / JOURNAL_NAME).read_text().splitlines()]
    lines[0]["name"], lines[0]["metric"] = SCRIPT, IMAGE
    for line in lines[1:4]:
        line |= {"classifier_type": IMAGE, "candidate": LINK, "alerts": [SCRIPT], "error": LINK}
    (folder / JOURNAL_NAME).write_text("".join(json.dumps(line) + "\n" for line in lines))


def _change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
