"""Setting what decides bits to what it was: environment variables, threads, oneDNN, Keras' settings.

Only variables of a fixed list are ever set from an archive, and all of them are shown before anything runs. What a
program sets itself (seeds, `enable_op_determinism`, a dtype policy) it sets again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from archiver.collect.variables import DECISIVE
from archiver.records.base import Unavailable
from archiver.records.determinism import OnednnPart
from archiver.records.framework import FrameworkPart
from archiver.reproduction.machine import why_not_equal
from archiver.reproduction.recipe import Recipe

_OF_THIS_MACHINE = frozenset(("CUDA_VISIBLE_DEVICES", "CUDA_LAUNCH_BLOCKING"))
"""Not taken away where they were not set: they say which devices may be used here."""
_KERAS_FILE = "keras.json"


def pinned_variables(recipe: Recipe, cores: int) -> dict[str, str | None]:
    """The variables that are set (or taken away: None) for the repetition.

    Args:
        recipe: what the archive says.
        cores: how many the backend would choose its threads by, here.
    """
    if recipe.determinism is None:
        return {}
    recorded = recipe.determinism.environment
    pinned = {
        name: recorded[name]
        for name in DECISIVE
        if name in recorded and not (recorded[name] is None and name in _OF_THIS_MACHINE)
    }
    return pinned | _threads(recipe, cores) | _onednn(recipe) | _backend(recipe)


def _threads(recipe: Recipe, cores: int) -> dict[str, str | None]:
    """Where the backend chose by the cores, and would choose otherwise here."""
    assert recipe.determinism is not None
    threads = recipe.determinism.threads
    if _backend_name(recipe) != "tensorflow" or threads.usable_cores == cores:
        return {}
    numbers = {
        "TF_NUM_INTRAOP_THREADS": (threads.intra_op, threads.intra_op_resolved),
        "TF_NUM_INTEROP_THREADS": (threads.inter_op, threads.inter_op_resolved),
    }
    return {name: str(then) for name, (asked, then) in numbers.items() if asked == 0 and isinstance(then, int)}


def _onednn(recipe: Recipe) -> dict[str, str | None]:
    """Where the build chose by the processor, and may choose otherwise on this one."""
    assert recipe.determinism is not None
    onednn = recipe.determinism.onednn
    if not isinstance(onednn, OnednnPart) or onednn.variable is not None or isinstance(onednn.enabled, Unavailable):
        return {}
    if not any("instruction sets" in reason for reason in why_not_equal(recipe, ())):
        return {}
    return {"TF_ENABLE_ONEDNN_OPTS": "1" if onednn.enabled else "0"}


def _backend(recipe: Recipe) -> dict[str, str | None]:
    name = _backend_name(recipe)
    return {"KERAS_BACKEND": name} if name in ("tensorflow", "jax", "torch") and _is_set_elsewhere(name) else {}


def _is_set_elsewhere(recorded: str) -> bool:
    """Whether Keras here would take another backend than the recorded one without being told."""
    here = os.environ.get("KERAS_BACKEND")
    file = _keras_settings()
    chosen = here or (file.get("backend") if isinstance(file, dict) else None) or "tensorflow"
    return chosen != recorded


def _backend_name(recipe: Recipe) -> str | None:
    framework = recipe.system.framework if recipe.system is not None else None
    return framework.backend if isinstance(framework, FrameworkPart) else None


def _keras_home() -> Path:
    return Path(os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras"))


def _keras_settings() -> object:
    try:
        return json.loads((_keras_home() / _KERAS_FILE).read_bytes())
    except (OSError, ValueError):
        return None


def keras_home(recipe: Recipe, work: Path) -> dict[str, str]:
    """A home folder for Keras with the recorded settings (dtype policy, floatx, epsilon, ...), where those here differ.

    What Keras keeps beside them (data sets, models) is linked.

    Returns:
        The variable that leads there; empty where nothing differs.
    """
    framework = recipe.system.framework if recipe.system is not None else None
    recorded = framework.keras.config_file if isinstance(framework, FrameworkPart) else None
    if not isinstance(recorded, dict) or "unavailable" in recorded or recorded == _keras_settings():
        return {}
    home = work / "keras"
    home.mkdir()
    (home / _KERAS_FILE).write_text(json.dumps(recorded), encoding="utf-8")
    if _keras_home().is_dir():
        for path in _keras_home().iterdir():
            if path.name != _KERAS_FILE:
                (home / path.name).symlink_to(path)
    return {"KERAS_HOME": str(home)}


def with_variables(environment: Mapping[str, str], pinned: Mapping[str, str | None]) -> dict[str, str]:
    """`environment` with the variables set, and without those that are None."""
    kept = {name: value for name, value in environment.items() if name not in pinned}
    return kept | {name: value for name, value in pinned.items() if value is not None}
