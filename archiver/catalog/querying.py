"""Expressions, sorting and columns as one SQL statement, of SQLAlchemy's parts: no text of a user gets into it."""

from __future__ import annotations

import difflib
import operator as operators
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sql

from archiver.catalog.columns import TABLES as COLUMNS_OF
from archiver.catalog.columns import Column, Kind, TableName, by_name
from archiver.catalog.database import ENSEMBLE_LOG, METRICS, RUNS, TABLES
from archiver.catalog.expressions import Comparison, Expression, IsIn, IsNull, Joined, Not, Place, Value, parse
from archiver.catalog.reading import time_text
from archiver.errors import ArgumentError
from archiver.records.ensemble import MEBIBYTE

MAXIMAL_METRICS = 50
"""In one query."""
ORDERS: dict[TableName, tuple[Any, ...]] = {
    "runs": (RUNS.c.path,),
    "ensemble_log": (ENSEMBLE_LOG.c.path, ENSEMBLE_LOG.c.iteration),
}
"""Behind what is asked for."""
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operators.eq, "!=": operators.ne, "<": operators.lt, "<=": operators.le, ">": operators.gt,
    ">=": operators.ge,
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """Where the values of a name come from."""

    name: str
    kind: Kind
    column: Column | None
    """None: a metric."""
    values: Any
    """The column of SQL."""


class Query:
    """A statement in the making: every metric that is named is joined once.

    Args:
        table: what is asked.
        metrics: the names of all metrics that there are, of runs.
    """

    def __init__(self, table: TableName, metrics: Iterable[str]) -> None:
        self._table = TABLES.tables[table]
        self._columns = by_name(COLUMNS_OF[table])
        self._metrics = set(metrics)
        self._joined: dict[str, Any] = {}
        self._required: set[str] = set()

    def source(self, name: str, place: Place | None = None) -> Source:
        """What a name stands for.

        Raises:
            ArgumentError: there is no such column or metric.
        """
        column = self._columns.get(name)
        if column is not None:
            return Source(column.name, column.kind, column, self._table.c[column.name])
        if name not in self._metrics:
            near = difflib.get_close_matches(name, [*self._columns, *self._metrics], 3)
            advice = f"Did you mean {' or '.join(near)}?" if near else "`archiver list --names STORE` shows all names."
            message = f"Received {name!r}, which is no column, and no metric of any run. {advice}"
            raise place.error(message) if place is not None else ArgumentError(message)
        if name not in self._joined:
            if len(self._joined) == MAXIMAL_METRICS:
                raise ArgumentError(f"Received more than {MAXIMAL_METRICS} metrics in one query.")
            self._joined[name] = METRICS.alias(f"metric_{len(self._joined)}")
        return Source(name, "real", None, self._joined[name].c.value)

    def condition(self, expression: Expression) -> Any:
        """An expression as a clause.

        Raises:
            ArgumentError: a name is unknown, or a value does not go with its column.
        """
        match expression:
            case Joined(word, parts):
                clauses = [self.condition(part) for part in parts]
                return sql.and_(*clauses) if word == "and" else sql.or_(*clauses)
            case Not(part):
                return sql.not_(self.condition(part))
            case IsNull(name, negated):
                values = self.source(name.name, name.place).values
                return values.is_not(None) if negated else values.is_(None)
            case IsIn(name, values, negated):
                source = self.source(name.name, name.place)
                clause = source.values.in_([_checked(source, value) for value in values])
                return sql.not_(clause) if negated else clause
            case Comparison():
                return self._comparison(expression)

    def _comparison(self, comparison: Comparison) -> Any:
        source, operator = self.source(comparison.name.name, comparison.name.place), comparison.operator
        if operator == "contains":
            if source.kind != "text" or not isinstance(comparison.value.value, str):
                raise comparison.value.place.error(f"{source.name} is no text, or this is none: contains needs both.")
            return source.values.icontains(comparison.value.value, autoescape=True)
        value = _checked(source, comparison.value)
        if source.kind == "truth" and operator not in ("=", "!="):
            raise comparison.value.place.error(f"{source.name} is true or false. Expected = or != before it.")
        return _OPERATORS[operator](source.values, value)

    def require(self, expression: Expression) -> None:
        """Runs that lack a metric which all of them must have need not be looked at."""
        parts = expression.parts if isinstance(expression, Joined) and expression.word == "and" else (expression,)
        self._required |= {part.name.name for part in parts if isinstance(part, Comparison)} & self._joined.keys()

    def tables(self) -> Any:
        """The runs, with the metrics that were named; first those that every run must have."""
        joined: Any = self._table
        for name in sorted(self._joined, key=lambda name: name not in self._required):
            table = self._joined[name]
            on = sql.and_(table.c.run_id == RUNS.c.run_id, table.c.name == name)
            joined = joined.join(table, on, isouter=name not in self._required)
        return joined

    def is_required(self, name: str) -> bool:
        """Whether all runs of the result have the metric."""
        return name in self._required


@lru_cache(maxsize=64)
def statement(
    table: TableName,
    metrics: tuple[str, ...],
    *,
    where: str | None,
    sort: tuple[str, ...],
    columns: tuple[str, ...],
    limit: int | None,
) -> sql.Select[Any]:
    """What finds the runs, or the iterations of ensembles. To make one takes longer than to ask it.

    Args:
        table: what is asked.
        metrics: the names of all metrics that there are.
        where: an expression, or None.
        sort: names, with a minus for the largest first; runs without a value come last.
        columns: names; the result has them in this order, under the catalogue's names.
        limit: at most so many, or None.

    Raises:
        ArgumentError: see `Query`.
    """
    query = Query(table, metrics)
    condition = None
    if where is not None and where.strip():
        tree = parse(where)
        condition = query.condition(tree)
        query.require(tree)
    sources = [query.source(name) for name in columns]
    orders = [order for name in sort for order in _orders(query, name)]
    found = sql.select(*(source.values.label(source.name) for source in sources)).select_from(query.tables())
    found = found if condition is None else found.where(condition)
    return found.order_by(*orders, *ORDERS[table]).limit(limit)


def _orders(query: Query, text: str) -> list[Any]:
    source = query.source(text.removeprefix("-"))
    order = source.values.desc() if text.startswith("-") else source.values.asc()
    return [order] if query.is_required(source.name) else [source.values.is_(None), order]


def _checked(source: Source, value: Value) -> Any:
    """The value as the column has it.

    Raises:
        ArgumentError: it is of another kind or unit.
    """
    given, place = value.value, value.place
    if source.kind == "truth":
        if not isinstance(given, bool):
            raise place.error(f"{source.name} is true or false.")
        return given
    if source.kind in ("whole", "real"):
        if isinstance(given, bool | str):
            raise place.error(f"{source.name} is a number. Expected such as {_example(source)}.")
        unit = source.column.unit if source.column is not None else None
        if unit == "mb" and value.unit == "bytes":
            return given / MEBIBYTE
        if value.unit is not None and value.unit != unit:
            raise place.error(f"{source.name} is {f'in {unit}' if unit else 'without a unit'}, not in {value.unit}.")
        return given
    if not isinstance(given, str):
        raise place.error(f"{source.name} is a text. Expected such as {_example(source)}.")
    return _utc(given, source, place) if source.kind == "time" else given


def _example(source: Source) -> str:
    unit = source.column.unit if source.column is not None else None
    if source.kind == "time":
        return '"2026-11-21" or "2026-11-21T08:00"'
    if source.kind == "text":
        return '"cnn"'
    return {None: "0.9", "bytes": "4GB", "seconds": "90 min", "celsius": "80 C", "mb": "100 or 100MB"}[unit]


def _utc(text: str, source: Source, place: Place) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise place.error(f"{source.name} is a time. Expected such as {_example(source)}.") from None
    return time_text(moment)  # without an offset it is local time


def names(table: TableName, metrics: Iterable[str]) -> list[tuple[str, str, str]]:
    """Name, kind and description of everything that can be asked for."""
    columns = [(column.name, str(column.kind), column.description) for column in COLUMNS_OF[table]]
    return columns + [(name, "real", "metric, its last value") for name in sorted(metrics)]
