"""`archiver export`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("export")
@click.argument("path", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--public", is_flag=True, help="Without names of hosts and users, absolute paths, environment and patch.")
@click.option(
    "--output", type=click.Path(path_type=Path), required=True, help="The folder of the copy; it must be new."
)
@click.option("--leave-out", default="", metavar="WHAT,...", help="What else goes: source, git, packages, traces, ...")
@click.option("--keep", default="", metavar="WHAT,...", help="What stays: environment, arguments, remote, patch.")
@click.option("--hide", multiple=True, metavar="TEXT", help="A text to replace wherever it stands. More than once.")
@click.option("--allow-secrets", is_flag=True, help="Go on although something in it looks like a secret.")
def command(
    path: Path, *, public: bool, output: Path, leave_out: str, keep: str, hide: tuple[str, ...], allow_secrets: bool
) -> None:
    """Copy a sealed run for other people.

    With --public, names of hosts and users, absolute paths and numbers of processes are replaced in every text, and
    environment variables, arguments, addresses of repositories and uncommitted changes are left out. What can be left
    out or kept: environment, arguments, remote, patch, source, git, packages, traces, predictions, files. The copy is a
    whole, sealed archive, which says what it lacks and names the seal of the original. Nothing is exported in which
    something looks like a secret.

    \b
    Example:
      archiver export runs/digits_cnn_base_models --public --output public/digits_cnn_base_models
    """
    from archiver.archive.run import Run
    from archiver.errors import ArgumentError
    from archiver.export.public import publish
    from archiver.progress import DelayedBar
    from archiver.report.published import published_details

    if not public:
        raise ArgumentError("Received no form to export to. Expected --public.")
    with DelayedBar("copying"):
        run = publish(
            Run.open(path),
            output,
            leave_out=_words(leave_out),
            keep=_words(keep),
            hide=hide,
            allow_secrets=allow_secrets,
        )
    details = published_details(run) or {}
    click.echo(f"{run.path}: public copy, {run.status.describe()}")
    click.echo(f"left out: {', '.join(details.get('left_out', ()))}")
    click.echo(
        f"replaced: {', '.join(f'{kind} {count}' for kind, count in details.get('replaced', {}).items()) or 'nothing'}"
    )
    for file, why in details.get("left_out_files", {}).items():
        if "cannot" in why:
            click.echo(f"note: {file}: {why}")
    if details.get("kept_names"):
        click.echo("note: a name of a host or user is an ordinary word and was replaced only where such names stand")
    click.echo(f"seal id: {run.seal_id}")


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
