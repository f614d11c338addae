"""Names of layers and variables as records may say them: a user can write a secret into those, too."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from archiver.collect.redaction import REDACTED, redact_text

_SHORTEST_FRAGMENT = 4
"""Shorter pieces cannot be told from ordinary text."""


@dataclass(frozen=True)
class Names:
    """The names of a model, and what in them is secret."""

    secrets: tuple[str, ...] = ()
    """Longest first; none, almost always."""

    def clean(self, text: str) -> str:
        """`text` without them; Keras makes names of slots by joining names, where no pattern would find them."""
        for secret in self.secrets:
            text = text.replace(secret, REDACTED)
        return redact_text(text)


def names_of(model: Any) -> Names:
    """The names of a model, of its layers and of its variables, looked through for secrets."""
    layers = model._flatten_layers(include_self=True, recursive=True)  # noqa: SLF001 - Keras has no public walk
    texts = {str(layer.name) for layer in layers} | {str(getattr(each, "path", "")) for each in model.variables}
    return Names(tuple(sorted(secret_pieces(texts), key=len, reverse=True)))


def secret_pieces(texts: Iterable[str]) -> set[str]:
    """What redaction takes out of these texts."""
    found: set[str] = set()
    for text in texts:
        redacted = redact_text(text)
        if redacted != text:
            found |= set(removed_pieces(text, redacted))
    return found


def removed_pieces(text: str, redacted: str) -> list[str]:
    """The pieces of `text` in whose place `redacted` says so; all of `text` where the two do not match."""
    kept = redacted.split(REDACTED)
    pieces, position = [], len(kept[0])
    for piece in kept[1:]:
        end = text.find(piece, position) if piece else len(text)
        pieces.append(text[position:end])
        position = end + len(piece)
    matches = text.startswith(kept[0]) and all(pieces) and position == len(text)
    return [piece for piece in (pieces if matches else [text]) if len(piece) >= _SHORTEST_FRAGMENT]
