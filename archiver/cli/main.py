"""`archiver`: the group of all commands. A command's module is imported when it is used."""

from __future__ import annotations

import gc
import importlib
import io
import sys

import click

from archiver.archive.findings import printable
from archiver.errors import ArchiverError
from archiver.version import __version__

COMMANDS = {
    "verify": "Check that archives are whole.",
    "seal-id": "Print the seal id, to be written down elsewhere.",
    "sign": "Sign a sealed archive with a private key.",
    "repair": "Make a damaged archive whole again, in a new folder.",
    "show": "Show a run on one screen.",
    "diff": "Compare two runs: what was done differently, what came out.",
    "list": "List the runs of a folder: filter, sort, export.",
    "index": "Bring the catalogue of a folder up to date.",
    "dashboard": "Browse the runs of a folder in the browser.",
    "watch": "Watch a run that another process trains.",
    "launch": "Train in a tmux session, watched and logged.",
    "open": "Open the report of a run in the browser.",
    "render": "Make the report of a run anew, and seal again.",
    "export": "Hand a run over: a bag, a zip file, a public copy, ...",
    "push": "Bring a run to a store such as s3://bucket/runs.",
    "pull": "Get a run from a store such as s3://bucket/runs.",
    "finalize": "Seal what an unfinished run left behind.",
    "resume": "Run the command again that was cut off.",
    "lock": "Add the hashes of the packages' files to a run.",
    "run": "Run a script as it is, and archive every fit.",
    "reproduce": "Run a run again, and say whether it is the same.",
    "cache": "Cut recordings into windows on disk, and check them.",
    "schema": "Print the JSON Schema of a kind of record.",
}
"""Every command with its one line of help, in the order of `archiver --help`."""

INTERRUPTED_EXIT_CODE = 130


class LazyGroup(click.Group):
    """Imports `archiver.cli.<name>` for the command that is run, so that `archiver --help` is quick.

    A hyphen in a name is an underscore in its module's.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"archiver.cli.{cmd_name.replace('-', '_')}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="archiver")
def cli() -> None:
    """Archives of Keras training runs: verify, show, finish them.

    \b
    Exit codes: 0 whole or done, 1 findings, 2 usage, 3 and up one per class of error (docs/cli.md).
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit; errors of archiver become one message and their exit code, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name may be no text, or none in this encoding
    try:
        status = cli.main(args=arguments, prog_name="archiver", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except click.Abort:
        status = INTERRUPTED_EXIT_CODE
    except ArchiverError as error:
        click.echo("\n".join(printable(line) for line in f"archiver: {error}".splitlines()), err=True)
        status = error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        status = 0
    except OSError as error:
        click.echo(printable(f"archiver: {error.filename or ''}: {error.strerror or error}"), err=True)
        status = 8
    if arguments is None:
        gc.freeze()  # else Python looks for cycles among all there is once more, a sixth of the time of a small verify
    sys.exit(status if isinstance(status, int) else 0)
