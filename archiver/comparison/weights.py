"""How far the weights of two runs are from each other, layer by layer; what is equal by its digest is not read."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from archiver import layout
from archiver.archive.run import Run
from archiver.comparison.differences import Gap, Place, first_line
from archiver.comparison.distances import Distance, distance_between, reader_of, together
from archiver.errors import ArchiverError
from archiver.records.model import MeasuredVariable, WeightsTable
from archiver.storage.reading import open_below
from archiver.storage.tensors import Tensors, open_tensors

FORMATS = ("weights.h5", "keras", "h5")
"""The order in which files are tried; the checkpoint is the last."""
MAXIMAL_NAMES = 50


@dataclass(frozen=True)
class VariableDistance:
    """One variable that differs."""

    path: str
    """Of the run after; it may be called otherwise in the run before."""
    index: int
    shape: tuple[int, ...]
    dtype: str
    distance: Distance | None
    """None: it could not be computed."""
    largest_at: tuple[int, ...] | None
    """Index of the element that differs most."""
    note: str
    """Why there is no distance; else empty."""


@dataclass(frozen=True)
class LayerDistance:
    """The variables of one layer that differ."""

    layer: str
    variables: tuple[VariableDistance, ...]
    distance: Distance | None
    """Of these variables together; None where that of one could not be computed."""


@dataclass(frozen=True)
class WeightsDifference:
    """The weights of two runs that have other weights."""

    digests: tuple[str, str]
    variable_count: int
    """Variables that both have, matched by place or by path."""
    equal_count: int
    """Of these, how many have the same bytes."""
    layers: tuple[LayerDistance, ...]
    """Those that differ, the relatively farthest first; those without a distance last."""
    distance: Distance | None
    """Of all variables that differ, together; None where that of one could not be computed."""
    only_before: tuple[str, ...]
    """Paths of variables that have no partner in the run after, the first ones."""
    only_after: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """Whether every variable has a partner and a distance."""
        return self.distance is not None and not self.only_before and not self.only_after


Pairs = list[tuple[MeasuredVariable, MeasuredVariable]]


def weights_tables(before: Run, after: Run, gaps: list[Gap]) -> tuple[WeightsTable, WeightsTable] | None:
    """The tables of both; what is missing is noted in `gaps`."""
    sides: tuple[tuple[Place, Run], ...] = (("before", before), ("after", after))
    found = []
    for side, run in sides:
        try:
            table = run.read_if_there(layout.WEIGHTS)
        except ArchiverError as error:
            gaps.append(Gap(side, "weights", first_line(error)))
            continue
        if table is None:
            gaps.append(Gap(side, "weights", "there is no table of the weights: no model was saved"))
        else:
            found.append(table)
    return (found[0], found[1]) if len(found) == len(sides) else None


def weights_between(
    runs: tuple[Run, Run], tables: tuple[WeightsTable, WeightsTable], *, tensors: bool = True
) -> WeightsDifference | None:
    """How far the weights are from each other; None where they are the same.

    Args:
        runs: the archives.
        tables: of their weights.
        tensors: whether to read those that differ; without, no distance is known.
    """
    digests = tables[0].weights_digest, tables[1].weights_digest
    if digests[0] == digests[1]:
        return None
    pairs, only_before, only_after = matched(*tables)
    differing = [pair for pair in pairs if pair[0].sha256 != pair[1].sha256]
    distances = _distances(runs, tables, differing) if tensors else [_not_read(pair) for pair in differing]
    layers = _layers(differing, distances)
    return WeightsDifference(
        digests=digests,
        variable_count=len(pairs),
        equal_count=len(pairs) - len(differing),
        layers=tuple(sorted(layers, key=_by_distance)),
        distance=_together([each.distance for each in layers]),
        only_before=tuple(only_before[:MAXIMAL_NAMES]),
        only_after=tuple(only_after[:MAXIMAL_NAMES]),
    )


def _by_distance(layer: LayerDistance) -> float:
    return 1.0 if layer.distance is None else -layer.distance.relative


def _not_read(pair: tuple[MeasuredVariable, MeasuredVariable]) -> VariableDistance:
    part = pair[1]
    return VariableDistance(part.path, part.index, part.shape, part.dtype, None, None, "the tensors were not read")


def matched(before: WeightsTable, after: WeightsTable) -> tuple[Pairs, list[str], list[str]]:
    """Variables of the same shape and type: by place where all are alike, else by path, which names layers.

    Returns:
        the pairs, and the paths of those without a partner in either.
    """
    old, new = before.variables, after.variables
    if [(each.shape, each.dtype) for each in old] == [(each.shape, each.dtype) for each in new]:
        return list(zip(old, new, strict=True)), [], []
    by_path: dict[tuple[str, tuple[int, ...], str], list[MeasuredVariable]] = {}
    for each in reversed(old):
        by_path.setdefault((each.path, each.shape, each.dtype), []).append(each)
    pairs, only_after = [], []
    for each in new:
        partners = by_path.get((each.path, each.shape, each.dtype))
        if partners:
            pairs.append((partners.pop(), each))
        else:
            only_after.append(each.path)
    partnered = {one.index for one, _ in pairs}
    return pairs, [each.path for each in old if each.index not in partnered], only_after


def _distances(
    runs: tuple[Run, Run], tables: tuple[WeightsTable, WeightsTable], pairs: Pairs
) -> list[VariableDistance]:
    with contextlib.ExitStack() as stack:
        sources = [
            stack.enter_context(_opened(run, table, [pair[place].index for pair in pairs]))
            for place, (run, table) in enumerate(zip(runs, tables, strict=True))
        ]
        return [_distance((sources[0], sources[1]), pair) for pair in pairs]


@dataclass(frozen=True)
class _Source:
    """A file that holds weights, and where in it."""

    tensors: Tensors | None
    locations: Mapping[int, str]
    problem: str


@contextlib.contextmanager
def _opened(run: Run, table: WeightsTable, wanted: list[int]) -> Iterator[_Source]:
    """The first file that holds all that is wanted and can be read."""
    with contextlib.ExitStack() as stack:
        problem = "no file of the archive holds it"
        for file, form, locations in _files(run, table):
            if not set(wanted) <= set(locations):
                continue
            try:
                opened = stack.enter_context(open_below(run.path, file))
                tensors = stack.enter_context(open_tensors(opened, form, where=file))
            except (ArchiverError, OSError) as error:
                problem = str(error)
                continue
            yield _Source(tensors, locations, "")
            return
        yield _Source(None, {}, problem)


def _files(run: Run, table: WeightsTable) -> Iterator[tuple[str, str, dict[int, str]]]:
    for form in FORMATS:
        part = table.formats.get(form)
        if part is not None and part.file is not None:
            yield (
                part.file,
                form,
                {each.index: each.locations[form] for each in table.variables if form in each.locations},
            )
    try:
        state = run.read_if_there(layout.CHECKPOINT_STATE)
    except ArchiverError:
        return
    if state is not None and state.weights_digest == table.weights_digest:
        yield (
            layout.CHECKPOINT_VARIABLES.path(run.name),
            "npz",
            {each.index: f"model/{each.index}" for each in state.model},
        )


def _distance(sources: tuple[_Source, _Source], pair: tuple[MeasuredVariable, MeasuredVariable]) -> VariableDistance:
    part = pair[1]
    distance, note = None, ""
    try:
        distance = _read(sources, pair)
    except (ArchiverError, OSError, ValueError) as error:
        note = str(error)
    at = _place(distance.maximal_at, part.shape) if distance is not None else None
    return VariableDistance(part.path, part.index, part.shape, part.dtype, distance, at, note)


def _read(sources: tuple[_Source, _Source], pair: tuple[MeasuredVariable, MeasuredVariable]) -> Distance:
    reader = reader_of(pair[0].dtype)
    blocks = []
    for source, part in zip(sources, pair, strict=True):
        if source.tensors is None:
            raise ValueError(source.problem)
        location = source.locations[part.index]
        entry, size = source.tensors.entries.get(location), math.prod(part.shape) * (reader[0] if reader else 0)
        if reader is not None and entry is not None and entry.size_bytes != size:
            raise ValueError(f"{location} has {entry.size_bytes} bytes; expected {size}, as the table of weights says")
        blocks.append(source.tensors.blocks(location))
    return distance_between(blocks[0], blocks[1], pair[0].dtype)


def _place(flat_place: int | None, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    if flat_place is None:
        return None
    found = []
    for length in reversed(shape):
        flat_place, place = divmod(flat_place, length)
        found.append(place)
    return tuple(reversed(found))


def _layers(pairs: Pairs, distances: list[VariableDistance]) -> list[LayerDistance]:
    """By the layer that owns them, in the order of the model."""
    found: dict[str, list[VariableDistance]] = {}
    for (_, part), distance in zip(pairs, distances, strict=True):
        found.setdefault(part.layer or part.path.rpartition("/")[0] or part.path, []).append(distance)
    return [
        LayerDistance(name, tuple(each), _together([part.distance for part in each])) for name, each in found.items()
    ]


def _together(distances: list[Distance | None]) -> Distance | None:
    found = [each for each in distances if each is not None]
    return together(found) if len(found) == len(distances) else None
