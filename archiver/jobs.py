"""The same work for many things: one after the other, in several processes, or on a Dask cluster, all through joblib.

Nothing that happens to one of them stops the others: an error is handed out in place of its result, and so is the death
of the process that worked on it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

from archiver.cores import usable_cores
from archiver.errors import ArchiverError, ArgumentError, MissingExtraError, StorageError

Item = TypeVar("Item")
Result = TypeVar("Result")

CONNECTING_SECONDS = 20
MAXIMAL_WAITING = 100_000
"""Items that are handed to processes at once."""
MAXIMAL_GROUP = 32
"""Items that are sent together: sending takes longer than many an item does."""
GROUPS_PER_PROCESS = 8
"""At least, so that they end at about the same time, and progress is seen."""
GROUP_SECONDS = 1.0
"""What is left of a group then is sent again: who notes results shall not lose many of those that take long."""

Group = list[tuple[int, Item]]
"""Items that are sent together, each with its place among all."""


@dataclass(frozen=True)
class Failure:
    """Why there is no result."""

    message: str
    exit_code: int
    """As of the classes in `archiver.errors`."""


@dataclass(frozen=True)
class Outcome(Generic[Item, Result]):
    """What came of one item."""

    item: Item
    result: Result | None = None
    failure: Failure | None = None
    is_from_before: bool = False
    """It stood in a file of results already, see `archiver.storage.job_results`."""


def can_run_in_processes() -> bool:
    """Whether joblib is there; without it, work is done one after the other."""
    return importlib.util.find_spec("joblib") is not None


def run_jobs(
    function: Callable[[Item], Result], items: Sequence[Item], *, jobs: int | None = None, cluster: str | None = None
) -> Iterator[Outcome[Item, Result]]:
    """Call `function` for each item; outcomes come as soon as they are there, in any order.

    Args:
        function: at the top of a module, or a `functools.partial` of such a one: other processes import it.
        items: what it takes, each small: they are sent.
        jobs: processes of this machine; 1: this one alone; None: one per core, or this one alone without joblib.
        cluster: address of a Dask scheduler, whose workers see the same files and have archiver installed.

    Raises:
        ArgumentError: a number of processes that cannot be, or both that and a cluster.
        MissingExtraError: processes or a cluster are asked for, and joblib or distributed is not installed.
        StorageError: there is no scheduler at the address.
    """
    if jobs is not None and jobs < 1:
        raise ArgumentError(f"Received jobs={jobs}. Expected at least 1.")
    if cluster is not None and jobs is not None:
        raise ArgumentError(f"Received jobs={jobs} and cluster={cluster!r}. Expected one of them.")
    if cluster is not None:
        return _on_cluster(function, items, cluster)
    count = jobs or (usable_cores() if can_run_in_processes() else 1)
    count = min(count, len(items))
    if count <= 1:
        return (_attempt(function, item) for item in items)
    _require("joblib", "joblib")
    return _in_processes(function, items, {"n_jobs": count, "backend": "loky"}, count)


def _attempt(function: Callable[[Item], Result], item: Item) -> Outcome[Item, Result]:
    """In whichever process the work is done."""
    try:
        return Outcome(item, function(item))
    except ArchiverError as error:
        return Outcome(item, failure=Failure(str(error), error.exit_code))
    except Exception as error:  # noqa: BLE001 - one item must not end the work on the others
        return Outcome(item, failure=Failure(f"{type(error).__name__}: {error}", ArchiverError.exit_code))


def _in_processes(
    function: Callable[[Item], Result], items: Iterable[Item], options: dict[str, Any], count: int
) -> Iterator[Outcome[Item, Result]]:
    pending = iter(items)
    while part := list(islice(pending, MAXIMAL_WAITING)):
        left = dict(enumerate(part))
        while left:
            try:
                for place, outcome in _parallel(function, _groups(left, count), options):
                    del left[place]
                    yield outcome
            except Exception as error:  # noqa: BLE001 - of joblib: a process died, and what it did with it
                yield from _one_by_one(function, left, options, error)


def _groups(left: dict[int, Item], count: int) -> list[Group[Item]]:
    numbered = list(left.items())
    size = max(1, min(MAXIMAL_GROUP, len(numbered) // (count * GROUPS_PER_PROCESS)))
    return [numbered[first : first + size] for first in range(0, len(numbered), size)]


def _parallel(
    function: Callable[[Item], Result], groups: Iterable[Group[Item]], options: dict[str, Any]
) -> Iterator[tuple[int, Outcome[Item, Result]]]:
    import joblib

    parallel = joblib.Parallel(**options, batch_size=1, return_as="generator_unordered")
    for outcomes in parallel(joblib.delayed(_attempt_all)(function, group) for group in groups):
        yield from outcomes


def _attempt_all(function: Callable[[Item], Result], group: Group[Item]) -> list[tuple[int, Outcome[Item, Result]]]:
    outcomes, began = [], time.monotonic()
    for place, item in group:
        outcomes.append((place, _attempt(function, item)))
        if time.monotonic() - began > GROUP_SECONDS:
            break
    return outcomes


def _one_by_one(
    function: Callable[[Item], Result], left: dict[int, Item], options: dict[str, Any], error: Exception
) -> Iterator[Outcome[Item, Result]]:
    """After the death of a process: those that were under way each alone, until the one is found that it died of."""
    for place, item in list(left.items()):
        try:
            yield from (outcome for _, outcome in _parallel(function, [[(place, item)]], options))
        except Exception as again:  # noqa: BLE001 - of joblib
            reason = str(again).partition("\n")[0] or str(error)
            message = f"the process that worked on it ended ({type(again).__name__}: {reason[:200]})"
            yield Outcome(item, failure=Failure(message, ArchiverError.exit_code))
            del left[place]
            return
        del left[place]


def _on_cluster(
    function: Callable[[Item], Result], items: Iterable[Item], address: str
) -> Iterator[Outcome[Item, Result]]:
    _require("joblib", "joblib")
    _require("distributed", "Dask's distributed")
    import joblib

    with _client(address) as client, joblib.parallel_config("dask", client=client):
        yield from _in_processes(function, items, {}, sum(client.nthreads().values()))


@contextlib.contextmanager
def _client(address: str) -> Iterator[Any]:
    from distributed import Client

    try:
        client: Any = Client(address, timeout=CONNECTING_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:  # a timeout is an OSError
        raise StorageError(
            f"There is no Dask scheduler at {address!r} ({error}). Expected an address such as tcp://10.0.0.1:8786, "
            "which `dask scheduler` prints."
        ) from error
    with client:
        if not client.scheduler_info().get("workers"):
            raise StorageError(f"The Dask scheduler at {address!r} has no workers; `dask worker {address}` starts one.")
        yield client


def _require(module: str, name: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise MissingExtraError(f"{name} is not installed. pip install 'keras-archiver[cluster]'")
