"""`archiver open`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("open")
@click.argument("path", type=click.Path(path_type=Path), metavar="RUN")
def command(path: Path) -> None:
    """Open the report of a run in the browser.

    \b
    Example:
      archiver open runs/digits_cnn_base_models
    """
    import webbrowser

    from archiver import layout
    from archiver.archive.run import Run
    from archiver.errors import RunStateError

    run = Run.open(path)
    page = run.path_of(layout.README_HTML)
    if not run.has(layout.README_HTML):
        raise RunStateError(f"{run.path} has no README.html yet: it is written when the run is sealed or rendered.")
    if not webbrowser.open(page.resolve().as_uri()):
        raise RunStateError(f"no browser was found to open {page}; $BROWSER names one.")
    click.echo(str(page))
