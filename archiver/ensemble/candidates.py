"""What an ensemble chooses from: scikit-learn estimators, each with a name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from archiver.errors import ArgumentError
from archiver.records.base import Json
from archiver.storage.jsonable import jsonable, qualified_name

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}")


@dataclass(frozen=True)
class Candidate:
    """An estimator that has not been fitted, usually a pipeline.

    It needs `fit(x, y)` and `predict_proba(x)` or `decision_function(x)`.
    """

    name: str
    estimator: Any

    @property
    def classifier_type(self) -> str:
        """Class of the last step."""
        steps = getattr(self.estimator, "steps", None)
        return type(steps[-1][1] if steps else self.estimator).__name__

    @property
    def configuration(self) -> dict[str, Json]:
        """The parameters as scikit-learn tells them, those of every step; estimators by the name of their class."""
        parameters = self.estimator.get_params(deep=True)
        return {key: _plain(value) for key, value in sorted(parameters.items()) if key not in ("steps", "verbose")}


def _plain(value: Any) -> Json:
    if hasattr(value, "get_params"):
        return qualified_name(type(value))
    return jsonable(value)


def as_candidates(given: Mapping[str, Any] | Iterable[Any]) -> list[Candidate]:
    """Candidates from a dict of estimators by name, or from estimators, `(name, estimator)` or candidates in order.

    Raises:
        ArgumentError: there is none, something is no estimator, or a name cannot be used or occurs twice.
    """
    items = list(given.items() if isinstance(given, Mapping) else given)
    found = [_candidate(number, item) for number, item in enumerate(items)]
    if not found:
        raise ArgumentError("Received no candidates. Expected at least one scikit-learn estimator.")
    names: set[str] = set()
    for candidate in found:
        if not _NAME.fullmatch(candidate.name):
            raise ArgumentError(
                f"Received a candidate with the name {candidate.name!r}. "
                "Expected up to 80 letters, digits, '_', '-', '.'."
            )
        if candidate.name in names:
            raise ArgumentError(f"Received two candidates with the name {candidate.name!r}. Expected different names.")
        names.add(candidate.name)
    return found


def _named(number: int, item: Any) -> Candidate:
    if isinstance(item, Candidate):
        return item
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):  # noqa: PLR2004 - a name, an estimator
        return Candidate(*item)
    return Candidate(f"{number:03}_{Candidate('', item).classifier_type}", item)


def _candidate(number: int, given: Any) -> Candidate:
    item = _named(number, given)
    estimator = item.estimator
    can_tell = hasattr(estimator, "predict_proba") or hasattr(estimator, "decision_function")
    if isinstance(estimator, type) or not hasattr(estimator, "get_params") or not hasattr(estimator, "fit"):
        raise ArgumentError(f"Received {estimator!r} as a candidate. Expected a scikit-learn estimator or pipeline.")
    if not can_tell:
        raise ArgumentError(
            f"Received {item.name} ({item.classifier_type}) as a candidate, which has neither predict_proba nor "
            "decision_function. Expected a classifier that has one, such as one with probability=True."
        )
    return item
