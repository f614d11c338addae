"""Replacing what says who and where, in any text, each time by the same."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from archiver.export.identity import Identity, is_of_every_system

_TOPS = (
    "home", "Users", "root", "mnt", "media", "data", "datasets", "scratch", "work", "workspace", "workspaces",
    "tmp", "temp", "var", "opt", "srv", "nfs", "gpfs", "lustre", "project", "projects", "private", "Volumes",
    "storage", "content", "kaggle", "cluster", "net", "export", "afs", "beegfs", "ceph", "app", "code",
    "shared", "users", "gs",
)  # fmt: skip
"""Folders at the top of a file system below which somebody's own lie."""
_PATH_KEY = re.compile(r"path|root|folder|dir|file|prefix|executable|location|source|target|interpreter", re.IGNORECASE)
_WHOLE_PATH = re.compile(r"/[^\n\t\"<>|]{2,4000}")
_MAC = re.compile(r"(?<![0-9A-Fa-f:])(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:])")
_PRIVATE = r"(?:10|192\.168|172\.(?:1[6-9]|2\d|3[01]))(?:\.\d{1,3}){2,3}"
_ADDRESS = re.compile(
    rf"(?<![\w.]){_PRIVATE}(?![\w.])|(?<=[@/])(?!127\.|0\.0\.)\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?=[:/\s\"'])"
)
LONG_NAME = 6
"""Characters from which a name is replaced within words, too."""
SHORT_FOLDER = 2


class Replacer:
    """Replaces; knows what it has replaced."""

    def __init__(self, identity: Identity, names: dict[str, str] | None = None) -> None:
        self.identity = identity
        self.counts: Counter[str] = Counter()
        """By kind: `host`, `user`, `path`, ..."""
        self.originals: set[str] = set()
        """Absolute paths that were replaced."""
        self._folders: dict[str, str] = {}
        """Placeholder of each folder that has no name of its own."""
        self._tops = set(_TOPS)
        self._named = dict(identity.folders) | {home: _home(n) for n, home in enumerate(identity.homes)}
        self._path = self._path_pattern()
        self._steps = [*self._literal_steps(names or {})]

    # -- what is called

    def text(self, text: str) -> str:
        """`text` with everything replaced."""
        text = self._without_paths(text)
        named = self._names_in(text)
        # Where a name is gone, a folder may end that did not before.
        return named if named == text else self._without_paths(named)

    def _without_paths(self, text: str) -> str:
        if "/" not in text and "\\" not in text:
            return text
        text = self._path.sub(lambda match: self._of_path(match[0]), text)
        for folder, placeholder in self._rest:
            text = folder.sub(lambda _, new=placeholder: self._count("path", new), text)  # type: ignore[misc]
        return text

    def json(self, value: Any, key: str = "") -> Any:
        """Plain JSON with everything replaced, keys too; a text under a key such as `path` may be one with spaces."""
        if isinstance(value, dict):
            replaced: dict[str, Any] = {}
            for name, item in value.items():
                new = self.text(name)
                new = new if new not in replaced else f"{new} ({len(replaced)})"
                replaced[new] = self.json(item, name)
            return replaced
        if isinstance(value, list):
            return [self.json(item, key) for item in value]
        if not isinstance(value, str):
            return value
        if _PATH_KEY.search(key) and _WHOLE_PATH.fullmatch(value) and ": " not in value:
            return self._names_in(self._of_path(value))
        return self.text(value)

    def learn(self, value: Any, key: str = "") -> None:
        """See which folders at the top of the file system an archive's paths lie in."""
        if isinstance(value, dict):
            for name, item in value.items():
                self.learn(item, name)
        elif isinstance(value, list):
            for item in value:
                self.learn(item, key)
        elif isinstance(value, str) and _PATH_KEY.search(key) and _WHOLE_PATH.fullmatch(value):
            parts = value.split("/")
            if len(parts) > 2 and re.fullmatch(r"[\w.+-]+", parts[1]) and not is_of_every_system(value):  # noqa: PLR2004
                self._tops.add(parts[1])
                self._path = self._path_pattern()

    def file_name(self, path: str) -> str:
        """A path in the archive without names of users and hosts; every system can have it."""
        for kind, names in (
            ("user", self.identity.users),
            ("host", self.identity.hosts),
            ("hidden", self.identity.hidden),
        ):
            for name in names:
                path = _name_pattern(name).sub(kind, path)
        return path

    # -- how

    def _count(self, kind: str, new: str) -> str:
        self.counts[kind] += 1
        return new

    def _literal_steps(self, names: dict[str, str]) -> Iterable[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]]:
        for old in sorted(names, key=len, reverse=True):
            yield re.compile(rf"(?<![A-Za-z0-9]){re.escape(old)}(?![A-Za-z0-9])"), lambda _, new=names[old]: new  # type: ignore[misc]
        identity = self.identity
        for kind, texts in (("number", identity.numbers), ("hidden", identity.hidden)):
            for text in texts:
                yield re.compile(re.escape(text), re.IGNORECASE), self._replacing(kind, f"<{kind}>")
        for kind, found in (("host", identity.hosts), ("user", identity.users)):
            # A host has a short and a long name: both are the same host.
            numbers = {name: n for n, name in enumerate(dict.fromkeys(name.partition(".")[0] for name in found))}
            for name in found:
                number = numbers[name.partition(".")[0]]
                yield (
                    _name_pattern(name),
                    self._replacing(kind, f"<{kind}>" if not number else f"<{kind}-{number + 1}>"),
                )
        for name in identity.ordinary:
            yield re.compile(rf"(?<![\w.-]){re.escape(name)}(?=@[\w.<-])"), self._replacing("user", "<user>")
            yield re.compile(rf"(?<=@){re.escape(name)}(?![\w-])"), self._replacing("host", "<host>")
        yield _MAC, self._replacing("network address", "<mac>")
        yield _ADDRESS, self._replacing("network address", "<address>")

    def _replacing(self, kind: str, new: str) -> Callable[[re.Match[str]], str]:
        return lambda _: self._count(kind, new)

    def _names_in(self, text: str) -> str:
        for pattern, replace in self._steps:
            text = pattern.sub(replace, text)
        return text

    def _path_pattern(self) -> re.Pattern[str]:
        """Absolute paths in text, as far as they have no spaces."""
        tops = "|".join(re.escape(top) for top in sorted(self._tops, key=len, reverse=True))
        named = "|".join(re.escape(each[1:]) for each in sorted(self._named, key=len, reverse=True) if each[:1] == "/")
        first = "|".join(each for each in (named, tops) if each)
        self._rest = [
            (re.compile(re.escape(folder) + r"(?![A-Za-z0-9_-])"), placeholder)
            for folder, placeholder in sorted(self._named.items(), key=lambda item: -len(item[0]))
            if folder.count("/") >= SHORT_FOLDER or "\\" in folder
        ]
        return re.compile(
            rf"(?:(?<![\w.~>#/)\]}}-])|(?<=file://)|(?<=-[IL]))/(?:{first})(?![\w-])(?:/[^\s\x00-\x1f\x7f'\"<>:;,|()\[\]{{}}`*?\\/]*[\w.~#\u0080-\U0010ffff-])*",
            re.ASCII,  # as the last look sees bytes
        )

    def _of_path(self, path: str) -> str:
        if is_of_every_system(path):
            return path
        for folder in sorted(self._named, key=len, reverse=True):
            if path == folder or path.startswith(f"{folder}/"):
                self.originals.add(path)
                return self._count("path", self._named[folder] + path[len(folder) :])
        parts = path.rstrip("/").split("/")
        if len(parts) < 3 and parts[-1] in _TOPS:  # noqa: PLR2004 - `/data` alone, which may be an address on a server
            return path
        folder = "/".join(parts[: max(2, min(3, len(parts) - 1))])
        self.originals.add(path)
        placeholder = self._folders.setdefault(folder, f"<folder-{len(self._folders) + 1}>")
        return self._count("path", placeholder + path[len(folder) :])


def _home(number: int) -> str:
    """As archiver writes the user's own home folder in its records."""
    return "~" if number == 0 else f"<home-{number + 1}>"


def _name_pattern(name: str) -> re.Pattern[str]:
    """A short name is replaced as a word of its own, a long one also within words; capitals do not matter."""
    text = re.escape(name)
    pattern = text if len(name) >= LONG_NAME else rf"(?<![A-Za-z0-9]){text}(?![A-Za-z0-9])"
    return re.compile(pattern, re.IGNORECASE)
