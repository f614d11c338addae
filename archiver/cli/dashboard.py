"""`archiver dashboard`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("dashboard")
@click.argument("store", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8501, show_default=True, help="0: any that is free.")
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@click.option("--static", "static", type=click.Path(path_type=Path), metavar="OUT", help="Write plain files instead.")
def command(store: Path, host: str, port: int, static: Path | None, *, no_browser: bool) -> None:
    """Browse the runs and ensembles of a folder in the browser; nobody else can reach it unless you say so.

    \b
    Example:
      archiver dashboard runs
      archiver dashboard runs --static public
    """
    if static is not None:
        from archiver.dashboard.static import write_static

        count = write_static(store, static)
        click.echo(f"{static / 'index.html'}: {count} runs")
        return
    from archiver.dashboard.serving import serve

    serve(store, host, port, open_browser=not no_browser, tell=click.echo)
