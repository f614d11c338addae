"""`archiver diff`."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from archiver.cli.places import PLACE, Folder, Place, folder_at

if TYPE_CHECKING:
    from archiver.remote.fetching import FetchedRun

DIFFERENT = 1


@click.command("diff")
@click.argument("before", type=PLACE, metavar="A")
@click.argument("after", type=PLACE, metavar="B")
@click.option("--format", "form", type=click.Choice(["text", "json", "html"]), default="text", show_default=True)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file instead.")
@click.option(
    "--tolerance", type=float, default=None, help="Relative difference up to which results are equivalent. [1e-4]"
)
@click.option("--no-tensors", is_flag=True, help="Do not read the weights: not how far they are apart.")
def command(
    before: Place, after: Place, *, form: str, output: Path | None, tolerance: float | None, no_tensors: bool
) -> int:
    """Compare two runs: candidate causes (inputs that differ), effects (metrics, weights, predictions), a verdict.

    A and B are folders of runs, or their URLs (s3://...), of which weights are fetched only where they differ. Shows
    only what differs, the most meaningful first. Needs neither Keras nor TensorFlow, and runs nothing that stands in
    the archives. Ends with 0 when nothing differs, with 1 when something does.

    \b
    Example:
      archiver diff runs/digits_cnn_base_models runs/digits_cnn_base-2_models
      archiver diff --format html --output comparison.html A_models B_models
    """
    from archiver.comparison.comparing import compare
    from archiver.comparison.curves import Tolerances

    tolerances = Tolerances() if tolerance is None else Tolerances(relative=tolerance)
    with comparable(before, after, tensors=not no_tensors) as runs:
        found = compare(*(run.path for run in runs), tolerances=tolerances, tensors=not no_tensors)
    sides = [
        dataclasses.replace(side, path=run.named(side.path))
        for side, run in zip((found.before, found.after), runs, strict=True)
    ]
    comparison = dataclasses.replace(found, before=sides[0], after=sides[1])
    if form == "text" and output is None:
        from archiver.report.comparison_screen import print_comparison

        print_comparison(comparison)
    else:
        _write(_RENDERERS[form](comparison), output)
    return DIFFERENT if comparison.differs else 0


@contextlib.contextmanager
def comparable(before: Place, after: Place, *, tensors: bool) -> Iterator[tuple[Folder, Folder]]:
    """Two runs with all that a comparison reads, while the body runs.

    Of a run in a store, that is its documents, traces and predictions; and its weights, where they are to be compared
    and the two runs' digests differ.
    """
    from archiver.remote.fetching import fetch_compared, fetch_weights

    with contextlib.ExitStack() as stack:
        there: list[FetchedRun] = []

        def wanted(found: FetchedRun) -> None:
            fetch_compared(found)
            there.append(found)

        runs = [stack.enter_context(folder_at(place, wanted)) for place in (before, after)]
        if tensors and there:
            fetch_weights(there, [run.path for run in runs])
        yield runs[0], runs[1]


def _write(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text)
        return
    from archiver.storage import files

    files.write_text(output, text + "\n")


def _as_text(comparison: object) -> str:
    from archiver.report.comparison_screen import comparison_text

    return comparison_text(comparison)  # type: ignore[arg-type]


def _as_json(comparison: object) -> str:
    import json

    # In ASCII, since what stands in an archive may be no text at all, and the terminal may have another encoding.
    return json.dumps(comparison.as_json(), indent=2)  # type: ignore[attr-defined]


def _as_html(comparison: object) -> str:
    from archiver.report.comparison_page import comparison_page

    return comparison_page(comparison)  # type: ignore[arg-type]


_RENDERERS = {"text": _as_text, "json": _as_json, "html": _as_html}
