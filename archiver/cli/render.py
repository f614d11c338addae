"""`archiver render`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("render")
@click.argument("path", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--templates", type=click.Path(path_type=Path), help="Folder with a README.md.j2 of your own.")
@click.option("--figures/--no-figures", default=True, help="Whether to draw figures.", show_default=True)
@click.option(
    "--allow-secrets", is_flag=True, help="Seal although something in it looks like a secret; its journal says so."
)
def command(path: Path, templates: Path | None, figures: bool, allow_secrets: bool) -> None:
    """Make the report of a sealed run anew, with this version's templates or your own, and seal again.

    The archive has a new seal id afterwards; its journal names the one before.

    \b
    Example:
      archiver render runs/digits_cnn_base_models --templates my_templates
    """
    from archiver.archive.run import Run
    from archiver.closing import render_again
    from archiver.report.report import ReportOptions, checked_templates

    options = ReportOptions(checked_templates(templates) if templates is not None else None, figures)
    run = Run.open(path)
    seal_id = render_again(run, options, allow_secrets=allow_secrets)
    click.echo(f"{run.path / 'README.html'}\nsealed: {seal_id}")
