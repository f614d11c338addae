"""`archiver sign`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click


@click.command("sign")
@click.argument("path", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--key", required=True, type=click.Path(path_type=Path), help="File with the private key, in PEM.")
@click.option("--password-env", metavar="NAME", help="Environment variable with the password of the key.")
@click.option("--replace", is_flag=True, help="Replace a signature that is there.")
def command(path: Path, key: Path, password_env: str | None, replace: bool) -> None:
    """Sign a sealed archive, in the format of OpenSSF model signing; the signature is model.sig in the archive.

    The archive is verified first. Key: elliptic curve P-256, P-384 or P-521. The password of an encrypted key is asked
    for, or stands in the environment variable that --password-env names. Nothing is sent anywhere.

    \b
    Example:
      archiver sign runs/digits_cnn_base_models --key private.pem
    """
    from archiver.archive.signing import sign

    signature = sign(path, key, password=_password(key, password_env), replace=replace)
    click.echo(f"signed: {signature}")


def _password(key: Path, variable: str | None) -> str | None:
    from archiver.archive.signing import is_encrypted

    if variable is not None:
        if variable not in os.environ:
            raise click.UsageError(f"there is no environment variable {variable}")
        return os.environ[variable]
    if not is_encrypted(key):
        return None
    if not sys.stdin.isatty():
        raise click.UsageError(f"{key} is encrypted; --password-env NAME says where its password stands")
    password: str = click.prompt("Password of the key", hide_input=True, err=True)
    return password
