"""`archiver schema`."""

from __future__ import annotations

import click


@click.command("schema")
@click.argument("kind", required=False)
def command(kind: str | None) -> None:
    """Print the JSON Schema of a kind of record, or list the kinds.

    \b
    Example:
      archiver schema
      archiver schema history
    """
    from archiver.archive.schemas import SCHEMA_KINDS, schema_text

    if kind is None:
        click.echo("\n".join(SCHEMA_KINDS))
    elif kind in SCHEMA_KINDS:
        click.echo(schema_text(kind), nl=False)
    else:
        raise click.BadParameter(f"received {kind!r}, expected one of {', '.join(SCHEMA_KINDS)}", param_hint="KIND")
