"""archiver turns a Keras training run into a sealed archive that can be verified, read and re-run.

    import archiver

    archiver.seed(42)
    archive = archiver.RunArchiver("runs", condition="digits", architecture="cnn", config="base")
    model.fit(x, y, epochs=5, callbacks=[archive])                 # a complete, sealed archive
    run = archive.finalize(test_data=(x_test, y_test))             # adds test results, seals again
    archiver.verify(run.path).raise_for_findings()

How it is built, from the bottom up; imports point downwards only:

- `errors`, `records`: what can go wrong, and what an archive says: pydantic models, one module per subject.
- `naming`, `layout`: how a run may be called, and THE table of an archive's files.
- `storage`: bytes on the disk: atomic files, digests, manifests, the journal, safe reading of strangers' files.
- `machine`: where the kernel and the driver keep their numbers.
- `collect`: functions that look at the world and return records.
- `sampling`: readings over time: samplers and traces, `MemoryMonitor`, the guard, cooling breaks.
- `archive`: an archive as an object: opening, reading typed, status, verifying, signing.
- `remote`: runs in stores of other machines, through fsspec: pushing, pulling, verifying there.
- `comparison`: two runs side by side: candidate causes, effects, a verdict.
- `report`: the generated README.
- `sealing`, `closing`: the order of sealing and the rules for changing what is sealed; ending a run.
- `repairing`: a damaged archive made whole again, from what is left of it.
- `training`, `data`: the Keras side: the callback, and data sets that can be repeated exactly.
- `catalog`: the rebuildable database of many runs; beside it `export`: bags, zip files, Croissant, MLflow,
  public copies.
- `reproduction`: running a run again from its archive, and the verdict on it.
- `cli`: the commands; each parses, calls one function, prints.

Names that need Keras are looked up when they are first used: importing archiver, verifying and showing need none.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from archiver.cycles import cycles_ignored
from archiver.version import __version__

if TYPE_CHECKING:
    from archiver import data, ensemble, errors, layout
    from archiver.archive.run import Run
    from archiver.archive.signing import sign
    from archiver.catalog import open_store
    from archiver.comparison.comparing import compare
    from archiver.remote.checking import verify
    from archiver.remote.downloading import pull
    from archiver.remote.uploading import push
    from archiver.repairing import repair
    from archiver.sampling.cooling_policy import CoolingPolicy
    from archiver.sampling.monitor import MemoryMonitor
    from archiver.training.fitting import fit
    from archiver.training.memory_estimate import estimate_memory
    from archiver.training.run_archiver import RunArchiver
    from archiver.training.seeding import seed

__all__ = [
    "CoolingPolicy",
    "MemoryMonitor",
    "Run",
    "RunArchiver",
    "__version__",
    "compare",
    "data",
    "ensemble",
    "errors",
    "estimate_memory",
    "fit",
    "layout",
    "open_store",
    "pull",
    "push",
    "repair",
    "seed",
    "sign",
    "verify",
]

_HOMES = {
    "CoolingPolicy": "archiver.sampling.cooling_policy",
    "MemoryMonitor": "archiver.sampling.monitor",
    "Run": "archiver.archive.run",
    "RunArchiver": "archiver.training.run_archiver",
    "compare": "archiver.comparison.comparing",
    "estimate_memory": "archiver.training.memory_estimate",
    "fit": "archiver.training.fitting",
    "open_store": "archiver.catalog",
    "pull": "archiver.remote.downloading",
    "push": "archiver.remote.uploading",
    "repair": "archiver.repairing",
    "seed": "archiver.training.seeding",
    "sign": "archiver.archive.signing",
    "verify": "archiver.remote.checking",
}
_MODULES = ("data", "ensemble", "errors", "layout")
_KERAS_EXTRA = 'pip install "keras-archiver[tensorflow]"'


def __getattr__(name: str) -> Any:
    if name not in _HOMES and name not in _MODULES:
        raise AttributeError(f"module 'archiver' has no attribute {name!r}")
    try:
        module = _imported(_HOMES.get(name, f"archiver.{name}"))
    except ModuleNotFoundError as error:
        if error.name not in ("keras", "tensorflow", "jax", "torch"):
            raise
        from archiver.errors import MissingExtraError

        raise MissingExtraError(
            f"archiver.{name} needs {error.name}, which is not installed: {_KERAS_EXTRA}"
        ) from error
    return module if name in _MODULES else getattr(module, name)


def _imported(module: str) -> Any:
    """Without looking for cycles among the objects of TensorFlow, which takes as long as the rest of it."""
    with cycles_ignored():
        return importlib.import_module(module)


def __dir__() -> list[str]:
    return sorted(__all__)
