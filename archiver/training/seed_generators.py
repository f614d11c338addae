"""The seed generators of a model: who holds them, and where they stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from archiver.records.determinism import SeedGeneratorPart
from archiver.storage.jsonable import qualified_name
from archiver.training.reading import known, whole
from archiver.training.weights import to_array

MAXIMAL_COUNT = 200


def seed_generator_parts(model: Any) -> tuple[list[SeedGeneratorPart], int]:
    """The first `MAXIMAL_COUNT` seed generators of the model's layers, and how many there are."""
    found = list(owned_generators(model))
    return [_part(*each) for each in found[:MAXIMAL_COUNT]], len(found)


def owned_generators(model: Any) -> Iterator[tuple[Any, str, Any]]:
    """(layer, attribute, generator) for each generator once, in the order of the layers; public names go first."""
    seen: set[int] = set()
    for layer in model._flatten_layers(include_self=True, recursive=True):  # noqa: SLF001 - Keras has no public walk
        for name, generator in _held(layer):
            if id(generator) not in seen:
                seen.add(id(generator))
                yield layer, name, generator


def draws(layer: Any) -> bool:
    """Whether a layer itself, its sublayers not counted, holds a seed generator."""
    return bool(_held(layer))


def _held(layer: Any) -> list[tuple[str, Any]]:
    """(attribute, generator), sorted, public names first; generators in lists and dicts included."""
    kind = keras.random.SeedGenerator
    candidates = [
        (name, value) for name, value in vars(layer).items() if isinstance(value, kind | list | tuple | dict) and value
    ]
    held = []
    for name, value in candidates:
        items = (value,) if isinstance(value, kind) else value.values() if isinstance(value, dict) else value
        held += [(name, item) for item in items if isinstance(item, kind)]
    return sorted(held, key=lambda each: (each[0].startswith("_"), each[0]))


def _part(layer: Any, attribute: str, generator: Any) -> SeedGeneratorPart:
    return SeedGeneratorPart(
        owner=str(getattr(layer, "path", None) or layer.name),
        owner_class=qualified_name(type(layer)),
        attribute=attribute,
        seed=whole(getattr(generator, "_initial_seed", None)),
        state=known(lambda: tuple(int(number) for number in to_array(generator.state))),
    )
