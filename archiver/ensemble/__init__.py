"""Ensembles of scikit-learn candidates, chosen by hill climbing, with the memory of every training.

`hill_climb` trains candidates in processes of their own (`training`, `processes`, `worker`), as many at once as joblib
says (`dispatching`), measures their memory (`measuring`), says what the next ones will take (`prediction`), chooses
(`selection`) and trains a network over the chosen (`stage_two`). The `journal` is the truth; `Ensemble` reads it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archiver.ensemble.candidates import Candidate
    from archiver.ensemble.climbing import hill_climb
    from archiver.ensemble.ensemble import Ensemble
    from archiver.ensemble.stage_two import StageTwo

__all__ = ["Candidate", "Ensemble", "StageTwo", "hill_climb"]

_HOMES = {"Candidate": "candidates", "Ensemble": "ensemble", "StageTwo": "stage_two", "hill_climb": "climbing"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'archiver.ensemble' has no attribute {name!r}")
    return getattr(importlib.import_module(f"archiver.ensemble.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
