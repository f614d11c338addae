"""Runs a script as it is, with `fit` of Keras' models wrapped: `python -m archiver.training.unmodified`.

`archiver run` starts it. This is the only place where archiver changes anything of Keras, in this process alone, and it
says so. Nothing of Keras is imported before the script imports it: the script may choose its backend first.
"""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
import inspect
import os
import re
import runpy
import sys
import weakref
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from archiver.archive.claiming import redirected


class KerasFinder(MetaPathFinder):
    """Calls `then` once, right after `keras` has been imported, whoever imports it."""

    def __init__(self, then: Callable[[ModuleType], None]) -> None:
        self._then = then

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 - Python's signature
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        """Keras' own spec, its loader replaced by one that also calls."""
        if fullname != "keras" or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self._then)
        return spec


class _Loader(Loader):
    def __init__(self, inner: Any, then: Callable[[ModuleType], None]) -> None:
        self._inner = inner
        self._then = then

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """As Keras' own loader."""
        module: ModuleType | None = self._inner.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """As Keras' own loader; then the call."""
        self._inner.exec_module(module)
        if module.__spec__ is not None:
            module.__spec__.loader = self._inner
        self._then(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Wrapping:
    """One RunArchiver for each model, which joins the callbacks of its calls of `fit`."""

    def __init__(self, root: Path, stem: str) -> None:
        self._root = root
        self._stem = stem
        self._archives: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()

    def wrap(self, keras: ModuleType) -> None:
        """Replace `fit` in the class of the backend that defines it for all models."""
        trainer = next(each for each in keras.Model.__mro__ if "fit" in vars(each))
        ordinary = trainer.fit

        @functools.wraps(ordinary)
        def fit_with_archive(model: Any, *arguments: Any, **keywords: Any) -> Any:
            try:
                bound = inspect.signature(ordinary).bind(model, *arguments, **keywords)
            except TypeError:
                return ordinary(model, *arguments, **keywords)  # which says it better
            bound.arguments["callbacks"] = self._with_archive(model, bound.arguments.get("callbacks"))
            return ordinary(*bound.args, **bound.kwargs)

        trainer.fit = fit_with_archive
        root = redirected(self._root)
        _say(f"fit of {trainer.__name__} is wrapped in this process; runs are archived in {root}")

    def _with_archive(self, model: Any, given: Any) -> Any:
        """The callbacks of a call of `fit`, with an archive among them."""
        import keras

        from archiver.training.run_archiver import RunArchiver

        is_list = isinstance(given, keras.callbacks.CallbackList)
        others = given.callbacks if is_list else [given] if isinstance(given, keras.callbacks.Callback) else given or ()
        if any(isinstance(each, RunArchiver) for each in others):
            return given
        archive = self._archives.get(model)
        if archive is None:
            archive = self._archives[model] = RunArchiver(self._root, name=run_name(self._stem, str(model.name)))
        if not is_list:
            return [*others, archive]
        archive.set_params(given.params)
        archive.set_model(model)
        given.callbacks.append(archive)
        return given


def run_name(stem: str, model: str) -> str:
    """A run's name, from the script's and the model's."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", f"{stem}_{model}").lstrip(".-")
    return re.sub(r"\.{2,}", ".", plain)[:120] or "run"


def _say(text: str) -> None:
    print(f"archiver: {text}", file=sys.stderr, flush=True)  # noqa: T201 - a program


def _run_script(path: str) -> None:
    """As `python path` does, with `__main__` the script's until the process ends."""
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec")
    module = ModuleType("__main__")
    module.__file__ = path
    module.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = module
    sys.path[0] = os.path.dirname(os.path.realpath(path))
    exec(code, module.__dict__)  # noqa: S102 - the user's own script


def main(words: list[str]) -> None:
    """Run what stands behind `--root ROOT --` or `--root ROOT -m`."""
    _, root, kind, target, *arguments = words
    stem = target.rpartition(".")[2] if kind == "-m" else Path(target).stem
    wrapping = Wrapping(Path(os.path.abspath(root)), stem)
    sys.meta_path.insert(0, KerasFinder(wrapping.wrap))
    sys.argv = [target, *arguments]
    if kind == "-m":
        runpy.run_module(target, run_name="__main__", alter_sys=True)
    elif not os.path.isfile(target):
        _say(f"there is no script {target!r}")
        raise SystemExit(2)
    else:
        _run_script(os.path.abspath(target))


if __name__ == "__main__":
    main(sys.argv[1:])
