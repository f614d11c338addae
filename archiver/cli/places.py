"""What a command takes as a place: a path, or the URL of something in a store."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from archiver.remote.fetching import FetchedRun

    Place = Path | str
    """A path; or the text of a URL."""
else:
    Place = Any


class PlaceType(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.2 only
    """A path as a `Path`, a URL as it was typed: a path would lose one of its slashes."""

    name = "path or URL"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002
        """What was typed."""
        from archiver.remote.urls import is_url

        return value if isinstance(value, Path) or is_url(value) else Path(value)


PLACE = PlaceType()


def archives_at(place: Place) -> list[Place]:
    """The archive at a place, or those below it when it is a store; sorted."""
    from archiver.archive.run import find_archives

    if isinstance(place, str):
        from archiver.remote.checking import find_remote_archives

        return list(find_remote_archives(place))
    return list(find_archives(place)) or [place]


@dataclass(frozen=True)
class Folder:
    """Where what lies at a place can be looked at."""

    path: Path
    named: Callable[[str], str]
    """Puts the place where a text has the temporary folder."""


@contextlib.contextmanager
def folder_at(place: Place, wanted: Callable[[FetchedRun], None] | None = None) -> Iterator[Folder]:
    """The folder at a place; for a URL a temporary one with the run's documents, while the body runs.

    Args:
        place: a path or a URL.
        wanted: brings more than documents into the temporary folder.
    """
    if not isinstance(place, str):
        yield Folder(place, lambda text: text)
        return
    from archiver.remote.fetching import fetched_run

    with fetched_run(place) as found:
        if wanted is not None:
            wanted(found)
        yield Folder(found.folder, found.named)
