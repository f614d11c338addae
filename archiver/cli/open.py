"""`archiver open`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("open")
@click.argument("path", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--trust", is_flag=True, help="Also when the page holds a script that is not the one of our reports.")
def command(path: Path, trust: bool) -> None:
    """Open the report of a run in the browser, unless a stranger's script stands in it.

    \b
    Example:
      archiver open runs/digits_cnn_base_models
    """
    import webbrowser

    from archiver import layout
    from archiver.archive.run import Run
    from archiver.archive.trust import script_in
    from archiver.errors import RunStateError, UnsafeFileError
    from archiver.storage.reading import open_below

    run = Run.open(path)
    page = run.path_of(layout.README_HTML)
    if not run.has(layout.README_HTML):
        raise RunStateError(f"{run.path} has no README.html yet: it is written when the run is sealed or rendered.")
    with open_below(run.path, layout.README_HTML.pattern) as file:
        told = script_in(file)
    if told is not None and not trust:
        raise UnsafeFileError(f"{page}: {told}. Expected a report of archiver; --trust opens it all the same.")
    if not webbrowser.open(page.resolve().as_uri()):
        raise RunStateError(f"no browser was found to open {page}; $BROWSER names one.")
    click.echo(str(page))
