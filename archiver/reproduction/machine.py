"""How this machine differs from the recorded one, and what of that keeps bits from being equal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from archiver.records.base import Unavailable
from archiver.records.machine import GpusPart, ProcessorPart
from archiver.records.reproduction import PackageDifferencePart
from archiver.reproduction.recipe import Recipe

NUMERIC = frozenset((
    "tensorflow", "tensorflow-cpu", "tensorflow-intel", "keras", "numpy", "jax", "jaxlib", "torch", "ml-dtypes",
    "scipy",
))  # fmt: skip
"""Packages whose version decides bits wherever they are used."""
_SHOWN = 6


def why_not_equal(recipe: Recipe, packages: Iterable[PackageDifferencePart]) -> list[str]:
    """What is known beforehand to keep the repetition from having the same bits."""
    found = [*_of_processor(recipe), *_of_gpus(recipe), *_of_packages(packages)]
    seeds = recipe.determinism.seeds if recipe.determinism is not None else None
    if seeds is not None and not any(isinstance(each, int) for each in (seeds.keras, seeds.tensorflow)):
        backend = recipe.system.framework if recipe.system is not None else None
        if isinstance(backend, Unavailable) or backend is None or backend.backend != "torch":
            found.append("nothing was seeded: initial weights and the order of the samples differ each time")
    return found


def _of_processor(recipe: Recipe) -> Iterator[str]:
    from archiver.collect.processor import collect_processor

    recorded = recipe.system.processor if recipe.system is not None else None
    if recorded is None or isinstance(recorded.flags, Unavailable):
        return
    here = collect_processor()
    if isinstance(here.flags, Unavailable):
        return
    missing, new = sorted(set(recorded.flags) - set(here.flags)), sorted(set(here.flags) - set(recorded.flags))
    if missing or new:
        parts = [f"without {_some(missing)}" if missing else "", f"with {_some(new)} besides" if new else ""]
        yield f"the CPU has other instruction sets ({', '.join(part for part in parts if part)})"


def _of_gpus(recipe: Recipe) -> Iterator[str]:
    from archiver.collect.gpus import collect_gpus

    devices = recipe.determinism.devices if recipe.determinism is not None else {}
    if isinstance(devices, Unavailable) or not any(name != "CPU" for name in devices):
        return
    recorded = _models(recipe.system.gpus if recipe.system is not None else None)
    here = _models(collect_gpus())
    if recorded and recorded != here:
        yield f"it ran on {_some(recorded)}; here is {_some(here) if here else 'no such GPU'}"


def _models(gpus: GpusPart | Unavailable | None) -> list[str]:
    return [] if gpus is None or isinstance(gpus, Unavailable) else sorted(device.name for device in gpus.devices)


def _of_packages(differences: Iterable[PackageDifferencePart]) -> Iterator[str]:
    for each in differences:
        if each.name in NUMERIC:
            yield f"{each.name}: {each.reason}"


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def machine_differences(recipe: Recipe, python_version: str) -> list[str]:
    """What else differs: it may matter, and mostly does not."""
    from archiver.collect.processor import collect_processor

    if recipe.system is None:
        return ["the machine of the run is not known"]
    system, found = recipe.system, []
    recorded_python = system.python.version.split()[0]
    if recorded_python != python_version:
        found.append(f"Python was {recorded_python}, here is {python_version}")
    here = collect_processor()
    for what, then, now in _processor_facts(system.processor, here):
        if then != now and not isinstance(then, Unavailable) and not isinstance(now, Unavailable):
            found.append(f"{what}: {then}, here {now}")
    return found


def _processor_facts(then: ProcessorPart, now: ProcessorPart) -> Iterator[tuple[str, Any, Any]]:
    yield "CPU", then.model, now.model
    yield "usable cores", then.usable_cores, now.usable_cores
