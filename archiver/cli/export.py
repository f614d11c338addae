"""`archiver export`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from archiver.archive.run import Run


@dataclass(frozen=True)
class Wish:
    """What was asked for on the command line."""

    run: Run
    beside: Path
    """The folder of the run that was named, beside which an export lies by default."""
    output: Path | None
    license: str | None
    tracking_uri: str | None
    experiment: str | None
    with_artifacts: bool

    def place(self, suffix: str) -> Path:
        """Where to write: as asked for, else beside the run's folder, by its name and a suffix."""
        return self.output or self.beside.with_name(self.beside.name + suffix)


def _to_bag(wish: Wish) -> str:
    from archiver.export.bag import export_bag

    made = export_bag(wish.run, wish.place("_bag"))
    why = f": no hard links could be made ({made.no_links})" if made.no_links else ""
    return f"{made.path}: {made.linked_count} files linked, {made.copied_count} copied{why}"


def _to_zip(wish: Wish) -> str:
    from archiver.export.zipped import export_zip

    path = export_zip(wish.run, wish.place(".zip"))
    return f"{path}: {path.stat().st_size:,} bytes"


def _to_croissant(wish: Wish) -> str:
    from archiver.export.croissant import export_croissant

    return str(export_croissant(wish.run, wish.place(".croissant.json"), license_text=wish.license))


def _to_mlflow(wish: Wish) -> str:
    from archiver.export.mlflow_store import export_mlflow

    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # seven make a server that is not there take minutes
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nobody but the store is told
    made = export_mlflow(
        wish.run, tracking_uri=wish.tracking_uri, experiment=wish.experiment, with_artifacts=wish.with_artifacts
    )
    what = "logged as" if made.is_new else "nothing written: this seal is there already as"
    return f"{what} run {made.run_id} of the experiment {made.experiment} ({made.store})"


FORMS: dict[str, Callable[[Wish], str]] = {
    "bag": _to_bag,
    "zip": _to_zip,
    "croissant": _to_croissant,
    "mlflow": _to_mlflow,
}
"""By `--to`: makes it, and returns the line to print."""

_OPTIONS_OF = {
    "output": ("bag", "zip", "croissant"),
    "license": ("croissant",),
    "tracking_uri": ("mlflow",),
    "experiment": ("mlflow",),
    "with_artifacts": ("mlflow",),
}
"""By option: the forms that it is for."""


@click.command("export")
@click.argument("path", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--to", "form", type=click.Choice(list(FORMS)), help="What to make.")
@click.option("--public", is_flag=True, help="Without names of hosts and users, absolute paths, environment and patch.")
@click.option("--output", type=click.Path(path_type=Path), help="Where to write; by default beside the run.")
@click.option("--leave-out", default="", metavar="WHAT,...", help="Of --public: what else goes: source, git, ...")
@click.option("--keep", default="", metavar="WHAT,...", help="Of --public: what stays: environment, patch, ...")
@click.option("--hide", multiple=True, metavar="TEXT", help="Of --public: a text to replace wherever it stands.")
@click.option("--license", help="Of croissant: the licence of the data, best as a URL.")
@click.option("--tracking-uri", help="Of mlflow: the tracking store; by default as MLflow's settings have it.")
@click.option("--experiment", help="Of mlflow: by default the run's condition, or else its name.")
@click.option("--with-artifacts/--without-artifacts", default=True, help="Of mlflow: whether the files go there, too.")
@click.option("--allow-secrets", is_flag=True, help="Go on although something in it looks like a secret.")
def command(path: Path, **options: Any) -> None:
    """Make of a sealed run what other people and tools take; the run stays as it is.

    \b
    --to bag        a bag (BagIt 1.0), by hard links
    --to zip        one zip file, always the same bytes
    --to croissant  a description of the data set (Croissant)
    --to mlflow     a run in an MLflow tracking store
    --public        a copy of the run; with --to, that of such a copy

    With --public, names of hosts and users, absolute paths and numbers of processes are replaced in every text, and
    environment variables, arguments, addresses of repositories and uncommitted changes are left out. What can be left
    out or kept: environment, arguments, remote, patch, source, git, packages, traces, predictions, files. The copy is a
    whole, sealed archive, which says what it lacks and names the seal of the original.

    The run is verified first, and searched for secrets. What is there already is never overwritten. `archiver verify`
    takes bags and zip files as they are.

    \b
    Example:
      archiver export runs/digits_cnn_base_models --to bag
      archiver export runs/digits_cnn_base_models --public --to zip
      archiver export runs/digits_cnn_base_models --to mlflow --tracking-uri http://127.0.0.1:5000
    """
    from archiver.archive.findings import printable
    from archiver.archive.run import Run
    from archiver.progress import DelayedBar

    _check(options)
    with DelayedBar("exporting"):
        lines = list(_export(Run.open(path), **options))
    click.echo("\n".join(map(printable, lines)))


def _check(options: dict[str, Any]) -> None:
    """Refuse what does not go together.

    Raises:
        ArgumentError: it does not.
    """
    from archiver.errors import ArgumentError

    form, public = options["form"], options["public"]
    if form is None and not public:
        raise ArgumentError(f"Received no form to export to. Expected --public, or --to {' | '.join(FORMS)}.")
    for name in ("leave_out", "keep", "hide"):
        if options[name] and not public:
            raise ArgumentError(f"Received --{name.replace('_', '-')} without --public, which it is for.")
    for name, forms in _OPTIONS_OF.items():
        is_for_copy = name == "output" and form is None
        if form not in forms and options[name] not in (None, True) and not is_for_copy:
            fitting = " or ".join(f"--to {each}" for each in forms)
            received = f"with --to {form}" if form else "without --to"
            raise ArgumentError(f"Received --{name.replace('_', '-')} {received}. Expected {fitting}.")


def _export(
    run: Run,
    *,
    form: str | None,
    public: bool,
    output: Path | None,
    leave_out: str,
    keep: str,
    hide: tuple[str, ...],
    allow_secrets: bool,
    **others: Any,
) -> Iterator[str]:
    """Do it; the lines to print."""
    from archiver.archive.secrets import refuse_secrets
    from archiver.storage.files import remove, temporary_name

    beside = run.path.resolve()
    if not public:
        refuse_secrets(run, allow=allow_secrets)
        yield FORMS[str(form)](Wish(run, beside, output, **others))
        return
    words = {"leave_out": _words(leave_out), "keep": _words(keep), "hide": hide, "allow_secrets": allow_secrets}
    if form is None:
        yield from _public_copy(run, output or beside.with_name(f"{beside.name}_public"), words)[1]
        return
    place = output or beside
    working = temporary_name(place.with_name(f"{place.name}.copy"))  # on the same file system, so that a bag has links
    try:
        copy, lines = _public_copy(run, working / beside.name, words)
        line = FORMS[form](Wish(copy, beside, output, **others))
    finally:
        remove(working)
    yield line
    yield from lines[1:]


def _public_copy(run: Run, output: Path, words: dict[str, Any]) -> tuple[Run, list[str]]:
    """The copy, and what to say of it."""
    from archiver.export.public import publish
    from archiver.report.published import published_details

    copy = publish(run, output, **words)
    details = published_details(copy) or {}
    replaced = ", ".join(f"{kind} {count}" for kind, count in details.get("replaced", {}).items())
    lines = [
        f"{copy.path}: public copy, {copy.status.describe()}",
        f"left out: {', '.join(details.get('left_out', ()))}",
        f"replaced: {replaced or 'nothing'}",
    ]
    left_out = details.get("left_out_files", {})
    lines += [f"note: {file}: {why}" for file, why in left_out.items() if "cannot" in why]
    if details.get("kept_names"):
        lines.append("note: a name of a host or user is an ordinary word and was replaced only where such names stand")
    return copy, [*lines, f"seal id: {copy.seal_id}"]


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
