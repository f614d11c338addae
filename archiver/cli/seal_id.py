"""`archiver seal-id`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("seal-id")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
def command(paths: tuple[Path, ...]) -> int:
    """Print the seal id of archives: for one its 64 digits alone, for several with two spaces and the path behind.

    Written down where the archive's keeper cannot change it (a paper, a ticket, a commit), it tells later whether the
    archive is still that one: `archiver verify --expect ID RUN`. Nothing is verified here.

    \b
    Example:
      archiver seal-id runs/digits_cnn_base_models
    """
    from archiver.archive.expecting import read_seal_id
    from archiver.archive.findings import printable
    from archiver.archive.run import find_archives
    from archiver.errors import ArchiverError

    archives = [found for path in paths for found in find_archives(path) or [path]]
    errors: list[ArchiverError] = []
    for path in archives:
        try:
            seal_id = read_seal_id(path)
        except ArchiverError as error:
            errors.append(error)
            continue
        click.echo(seal_id if len(archives) == 1 else f"{seal_id}  {printable(str(path))}")
    for failure in errors:
        click.echo(f"archiver: {printable(str(failure))}", err=True)
    return errors[0].exit_code if errors else 0
