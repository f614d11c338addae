"""The command that started this process, as it can be recorded."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from archiver.collect.redaction import hide_home, redact_arguments, redact_text
from archiver.records.base import Unavailable
from archiver.records.source import CommandPart, StartKind

_STARTS: dict[str, StartKind] = {"c": "code", "m": "module"}


@dataclass(frozen=True)
class ParsedCommand:
    """A command line of Python, taken apart."""

    options: tuple[str, ...]
    start: StartKind
    target: str | None
    arguments: tuple[str, ...]


def collect_command() -> CommandPart | Unavailable:
    """The command of this process, from `sys.orig_argv`: a program may have changed `sys.argv` since.

    Unavailable in programs that embed Python without telling it their command line.
    """
    if not sys.orig_argv:
        return Unavailable(unavailable="Python is embedded in a program that did not tell its command line")
    parsed = parse_command(sys.orig_argv)
    # Redacted as one line: a secret may stand before or behind the border between options and arguments.
    line = [*parsed.options, *([] if parsed.target is None else [parsed.target]), *parsed.arguments]
    redacted = redact_arguments(line)
    visible = [recordable(argument) for argument in redacted]
    count = len(parsed.options)
    return CommandPart(
        start="interactive" if parsed.start == "standard_input" and is_interactive() else parsed.start,
        target=None if parsed.target is None else visible[count],
        arguments=tuple(visible[count + (parsed.target is not None) :]),
        interpreter=recordable(sys.executable) if sys.executable else Unavailable(unavailable="Python is embedded"),
        interpreter_options=tuple(visible[:count]),
        working_directory=working_directory(),
        redacted=redacted != line,
    )


def is_interactive() -> bool:
    """Whether somebody types the commands."""
    return hasattr(sys, "ps1") or bool(sys.flags.interactive)


def parse_command(command: Sequence[str]) -> ParsedCommand:
    """Take `python [options] [-c code | -m module | script | -] [arguments]` apart as Python itself does."""
    position = 1
    while position < len(command):
        word = command[position]
        options, rest = tuple(command[1:position]), tuple(command[position + 1 :])
        if not word.startswith("-"):
            return ParsedCommand(options, "script", word, rest)
        if word == "-":
            return ParsedCommand(options, "standard_input", None, rest)
        letter = "" if word.startswith("--") else next((c for c in word[1:] if c in "cmWX"), "")
        if letter in _STARTS:
            return _code_or_module(options, word, letter, rest)
        awaits_value = word == "--check-hash-based-pycs" or (letter and word.index(letter) == len(word) - 1)
        position += 2 if awaits_value else 1
    return ParsedCommand(tuple(command[1:]), "standard_input", None, ())


def _code_or_module(options: tuple[str, ...], word: str, letter: str, rest: tuple[str, ...]) -> ParsedCommand:
    before, _, target = word.partition(letter)
    if before != "-":
        options = (*options, before)
    if not target:
        target, rest = (rest[0], rest[1:]) if rest else ("", ())
    return ParsedCommand(options, _STARTS[letter], target, rest)


def working_directory() -> str | Unavailable:
    """The current folder, the home folder written as `~`."""
    try:
        return recordable(os.getcwd())
    except OSError as error:
        return Unavailable(unavailable=f"the working directory is gone: {error.strerror}")


def recordable(text: str) -> str:
    """`text` as a record can hold it: without secrets, the home folder as `~`, no half characters of file names that
    are no text."""
    return hide_home(redact_text(text)).encode("utf-8", "backslashreplace").decode()
