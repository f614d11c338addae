"""Looking for secrets in bytes: the tokens of well-known services, passwords in addresses, values of secret names.

By the same tables as `archiver.collect.redaction`, which takes them out of what archiver itself records; this is for
what others wrote. A secret is never repeated: what is told is its line, its kind and its length.

Looking at every byte with regular expressions takes seconds for what NumPy sifts in milliseconds: the first three
characters of all markers are looked for at once, and regular expressions begin where one stands.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.collect.redaction import (
    LITERAL,
    NAME_BEFORE,
    NAME_BEFORE_LENGTH,
    PLACEHOLDERS,
    QUERY,
    SIGNATURES,
    USER_PART,
    is_secret_name,
)
from archiver.collect.token_formats import TOKEN_FORMATS, TokenFormat

BLOCK_BYTES = 4 << 20
"""What is sifted at once."""
SHORTEST_QUERY_VALUE = 8

_ESCAPES = (b"\\n", b"\\r", b"\\t", b"\\")
_PLACEHOLDER = re.compile(
    r"example|placeholder|change.?me|redacted|your[_-]|[_-]here\b|x{4}|\*{3}|\.{3}|[<>{}$]|0123456789|1234567890|"
    r"abcdefghij",
    re.IGNORECASE,
)
_WORDS = frozenset(
    ["password", "passwd", "pass", "pw", "pwd", "secret", "token", "user", "username", "key", "apikey", "test", "none"]
)
_FEWEST_CHARACTERS = 5
"""Different ones, in a secret that is one."""
_PRIVATE_KEY = "private key"

_USER_PART = re.compile(USER_PART.pattern.encode())
_QUERY = re.compile(QUERY.pattern.replace("{}$]", "{}$?]").encode())
"""A question mark within a value would let hostile text be looked at again and again."""
_QUERY_LENGTH = 82
_LITERAL = re.compile(LITERAL.pattern.encode())
_NAME_BEFORE = re.compile(NAME_BEFORE.pattern.encode())
_STEM = re.compile(rb"(?i:token|secret|pass|pwd|key|cred|auth|bearer|jwt|cookie)")
"""One of these is in every secret name."""


@dataclass(frozen=True)
class Secret:
    """What looks like a secret, without the secret."""

    line: int
    """Counted from 1; 0 where there are no lines."""
    kind: str
    hint: str
    """What tells it from others without giving it away: how it begins, where that is the same for all such tokens, and
    how long it is."""


@dataclass(frozen=True, order=True)
class _Found:
    start: int
    end: int
    kind: str
    begins: str = ""


def scan_text(data: bytes) -> list[Secret]:
    """The secrets in a text of any encoding that has ASCII in it, in the order in which they stand there."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        data = data.decode("utf-16", "replace").encode()
    if b"\\" in data:
        for escape in _ESCAPES:  # in JSON and in code a token may follow `\n`; positions stay
            data = data.replace(escape, b" " * len(escape))
    return _described(data, sorted({*_tokens(data, in_text=True), *_literals(data)}))


def scan_binary(data: bytes) -> list[Secret]:
    """The tokens of services in bytes that are no text."""
    return [Secret(0, each.kind, each.hint) for each in _described(data, sorted(_tokens(data, in_text=False)))]


def is_placeholder(secret: str) -> bool:
    """Whether it only stands for a secret, as in documentation: `AKIAIOSFODNN7EXAMPLE`, `xxxx`, `<your-token>`."""
    few = len(set(secret)) < _FEWEST_CHARACTERS
    return few or secret.lower() in _WORDS or _PLACEHOLDER.search(secret) is not None


def _described(data: bytes, found: list[_Found]) -> list[Secret]:
    if not found:
        return []
    breaks = [match.start() for match in re.finditer(rb"\n", data)]
    secrets: list[Secret] = []
    end = 0
    for each in found:
        if each.end > end:  # what lies within another is the same secret, as another format sees it
            length = f"{each.end - each.start} characters"
            hint = f"{each.begins}... ({length})" if each.begins else length
            secrets.append(Secret(bisect.bisect_left(breaks, each.start) + 1, each.kind, hint))
            end = each.end
    return secrets


# -- tokens: looked for by their markers


_Find = Callable[[bytes, int], _Found | None]


def _tokens(data: bytes, *, in_text: bool) -> Iterator[_Found]:
    finders = _finders(in_text)
    end = -1
    for position in _marked(data):
        if position < end:
            continue
        for marker, find in finders.get(data[position : position + 3], ()):
            found = find(data, position) if data.startswith(marker, position) else None
            if found is not None:
                yield found
                # A private key without an end goes to the end of the text: each byte is looked at once.
                end = found.end if found.kind == _PRIVATE_KEY else end


@cache
def _finders(in_text: bool) -> dict[bytes, list[tuple[bytes, _Find]]]:
    """By the first three bytes of a marker: the marker, and what to do where it stands."""
    finders: dict[bytes, list[tuple[bytes, _Find]]] = {}
    for form in TOKEN_FORMATS:
        find = _finder(form)
        for marker in form.markers:
            finders.setdefault(marker[:3].encode(), []).append((marker.encode(), find))
    if in_text:
        finders.setdefault(b"://", []).append((b"://", _password))
        for name in (b"token=", b"key=", b"secret=", b"sword=", b"sig=", b"nature="):
            finders.setdefault(name[:3], []).append((name, _query_value))
    return finders


def _finder(form: TokenFormat) -> _Find:
    pattern, before = re.compile(form.pattern.encode()), form.before

    def find(data: bytes, position: int) -> _Found | None:
        for start in range(max(0, position - before), position + 1):
            match = pattern.match(data, start)
            if match is not None:
                return _accepted(form, match)
        return None

    return find


def _accepted(form: TokenFormat, match: re.Match[bytes]) -> _Found | None:
    group = match.re.groups
    secret = match[group].decode("ascii", "replace")
    if form.kind != _PRIVATE_KEY and is_placeholder(secret):
        return None
    if form.is_likely is not None and not form.is_likely(secret):
        return None
    begins = next((each for each in form.markers if len(each) > 3 and secret.startswith(each)), "")  # noqa: PLR2004
    return _Found(match.start(group), match.end(group), form.kind, begins.strip("- "))


def _password(data: bytes, position: int) -> _Found | None:
    match = _USER_PART.match(data, position)
    user, colon, password = match[1].partition(b":") if match else (b"", b"", b"")
    if not match or not colon or not password:
        return None
    whole, secret = (each.decode("utf-8", "replace") for each in (match[1], password))
    if PLACEHOLDERS.fullmatch(whole) or is_placeholder(secret):
        return None
    return _Found(match.start(1) + len(user) + 1, match.end(1), "password in an address")


def _query_value(data: bytes, position: int) -> _Found | None:
    begin = max(0, position - _QUERY_LENGTH)
    start = max(data.rfind(b"?", begin, position), data.rfind(b"&", begin, position))
    match = _QUERY.match(data, start) if start >= 0 else None
    if match is None:
        return None
    name, value = match[1][1:-1].decode("utf-8", "replace"), match[2].decode("utf-8", "replace")
    is_secret = is_secret_name(name) or name.lower() in SIGNATURES
    if not is_secret or len(value) < SHORTEST_QUERY_VALUE or is_placeholder(value):
        return None
    return _Found(match.start(2), match.end(2), "secret in an address")


# -- values of secret names


def _literals(data: bytes) -> Iterator[_Found]:
    for position in _assigned(data):
        match = _LITERAL.match(data, position)
        if match is not None and _has_secret_name(data, position) and _is_random(match):
            group = 1 if match[1] is not None else 2
            value = match[group].decode("ascii", "replace")
            if not is_placeholder(value):
                yield _Found(match.start(group), match.end(group), "value of a secret name")


def _is_random(match: re.Match[bytes]) -> bool:
    value = match[1] or match[2]
    digits = len(value) - len(value.translate(None, b"0123456789"))
    return bool((1 if match[1] else 3) <= digits < len(value))


def _has_secret_name(data: bytes, position: int) -> bool:
    begin = max(0, position - NAME_BEFORE_LENGTH)
    if not _STEM.search(data, begin, position):
        return False
    name = _NAME_BEFORE.search(data[begin:position])
    return name is not None and is_secret_name(name[1].decode("ascii", "replace"))


# -- sifting


def _blocks(data: bytes) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Blocks, each with the two bytes that follow it."""
    whole = np.frombuffer(data, np.uint8)
    for start in range(0, max(0, len(whole) - 2), BLOCK_BYTES):
        yield start, whole[start : start + BLOCK_BYTES + 2]


def _marked(data: bytes) -> Iterator[int]:
    """Where the first three bytes of a marker may stand."""
    is_pair, is_triple = _sieves()
    for start, block in _blocks(data):
        places = np.concatenate([2 * np.flatnonzero(is_pair.take(_pairs(block, odd))) + odd for odd in (0, 1)])
        pairs = block[places] | block[places + 1].astype(np.uint16) << 8
        places = places[is_triple[_triples(pairs, block[places + 2])]]
        places.sort()
        yield from (places + start).tolist()


def _pairs(block: NDArray[np.uint8], odd: int) -> NDArray[np.uint16]:
    """Every second pair of bytes as one number, without a copy."""
    count = (len(block) - 1 - odd) // 2
    return block[odd : odd + 2 * count].view("<u2")


def _triples(pairs: Any, thirds: Any) -> Any:
    """16 bits that three bytes are told apart by, nearly."""
    return (pairs.astype(np.uint32) * 257 + thirds) & 0xFFFF


@cache
def _sieves() -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    pairs, triples = np.zeros(1 << 16, np.bool_), np.zeros(1 << 16, np.bool_)
    for marker in _finders(True):
        pair = np.asarray([marker[0] | marker[1] << 8], np.uint16)
        pairs[pair] = True
        triples[_triples(pair, np.asarray([marker[2]], np.uint8))] = True
    return pairs, triples


def _assigned(data: bytes) -> Iterator[int]:
    """Where `=` or `:` may stand before a long word: what is at least 10 characters on, is of one."""
    is_sign, is_word = _letters()
    whole = np.frombuffer(data, np.uint8)
    for start, block in _blocks(data):
        places = np.flatnonzero(is_sign.take(block[:-2])) + start
        places = places[places + 16 < len(whole)]
        for distance in (6, 10, 14, 16):
            places = places[is_word[whole[places + distance]]]
        yield from places.tolist()


@cache
def _letters() -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    is_sign, is_word = np.zeros(256, np.bool_), np.zeros(256, np.bool_)
    is_sign[list(b"=:")] = True
    is_word[list(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+/=-")] = True
    return is_sign, is_word
