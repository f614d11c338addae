"""`archiver repair`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from archiver.repairing import RepairReport


@click.command("repair")
@click.argument("path", type=click.Path(path_type=Path), metavar="RUN")
@click.option(
    "--output", required=True, type=click.Path(path_type=Path), metavar="NEW", help="The new folder; must not be there."
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(path: Path, output: Path, form: str) -> int:
    """Make a damaged archive whole again, in a new folder: RUN is only read.

    Files whose bytes can be had again are restored: the recorded digests prove it, and the seal holds again. Model
    files of which only the tensors are left are written anew, and the new archive is sealed again. Needs neither Keras
    nor TensorFlow, and runs nothing that stands in the archive. Ends with 0 when NEW is whole, with 1 when something
    could not be repaired.

    \b
    Example:
      archiver repair runs/digits_cnn_base_models --output repaired/digits_cnn_base_models
    """
    from archiver.progress import DelayedBar
    from archiver.repairing import repair

    with DelayedBar("repairing"):
        report = repair(path, output)
    click.echo(_as_json(report) if form == "json" else _as_text(report))
    return 0 if report.is_whole else 1


def _as_json(report: RepairReport) -> str:
    import json

    return json.dumps(report.as_json(), indent=2)


def _as_text(report: RepairReport) -> str:
    from archiver.archive.findings import printable

    lines = [f"  {outcome.describe()}" for outcome in report.outcomes]
    lines += [f"  FINDING {finding.describe()}" for finding in report.findings]
    return "\n".join(map(printable, [f"{report.source}: {_in_short(report)}", *lines, *_ending(report)]))


def _in_short(report: RepairReport) -> str:
    counts = {what: len(report.paths(what)) for what in ("restored", "rebuilt", "not_repaired", "left_out")}
    return ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in counts.items() if count) or "nothing to do"


def _ending(report: RepairReport) -> list[str]:
    if report.output is None:
        return ["no new folder was made: nothing could be repaired"]
    whole = "whole" if report.is_whole else f"not whole, {len(report.findings)} finding(s)"
    seal = "as it was" if report.seal_id == report.original_seal_id else "new; the one before is in its journal"
    return (
        [f"{report.output}: {whole}", f"  seal id: {report.seal_id} ({seal})"]
        if report.seal_id
        else [f"{report.output}: {whole}"]
    )
