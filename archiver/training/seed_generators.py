"""The seed generators of a model: who holds them, and where they stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from archiver.records.determinism import SeedGeneratorPart
from archiver.storage.jsonable import qualified_name
from archiver.training.reading import known, whole
from archiver.training.weights import to_array

MAXIMAL_COUNT = 1000


def seed_generator_parts(model: Any) -> tuple[list[SeedGeneratorPart], int]:
    """The first `MAXIMAL_COUNT` seed generators of the model's layers, and how many there are."""
    found = list(owned_generators(model))
    return [_part(*each) for each in found[:MAXIMAL_COUNT]], len(found)


def owned_generators(model: Any) -> Iterator[tuple[Any, str, Any]]:
    """(layer, attribute, generator) for each generator once, in the order of the layers, under its public name where it has one."""
    seen: set[int] = set()
    for layer in model._flatten_layers(include_self=True, recursive=True):  # noqa: SLF001 - Keras has no public walk
        attributes = vars(layer)
        for name in sorted(attributes, key=lambda name: (name.startswith("_"), name)):
            for generator in _generators(attributes[name]):
                if id(generator) not in seen:
                    seen.add(id(generator))
                    yield layer, name, generator


def _generators(value: Any) -> Iterator[Any]:
    if isinstance(value, keras.random.SeedGenerator):
        yield value
    elif isinstance(value, list | tuple):
        yield from (item for item in value if isinstance(item, keras.random.SeedGenerator))
    elif isinstance(value, dict):
        yield from (item for item in value.values() if isinstance(item, keras.random.SeedGenerator))


def draws(layer: Any) -> bool:
    """Whether a layer itself, its sublayers not counted, holds a seed generator."""
    return any(True for value in vars(layer).values() for _ in _generators(value))


def _part(layer: Any, attribute: str, generator: Any) -> SeedGeneratorPart:
    return SeedGeneratorPart(
        owner=str(getattr(layer, "path", None) or layer.name),
        owner_class=qualified_name(type(layer)),
        attribute=attribute,
        seed=whole(getattr(generator, "_initial_seed", None)),
        state=known(lambda: tuple(int(number) for number in to_array(generator.state))),
    )
