"""The configuration inside a `.keras` file, as plain JSON: nothing in it is built, imported or run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from archiver.errors import DamagedFileError
from archiver.storage.guards import opened, refuse
from archiver.storage.reading import count_values
from archiver.storage.zips import SafeZip

CONFIG_MEMBER = "config.json"
MAXIMAL_CONFIG_BYTES = 64 << 20
MAXIMAL_CONFIG_VALUES = 2_000_000
"""Counted by commas and brackets before parsing, see `count_values`."""
MAXIMAL_CONFIG_DEPTH = 400
MAXIMAL_FINDINGS = 100

_CODE_CLASSES = frozenset({"Lambda", "__lambda__", "TFSMLayer"})
_FUNCTION_FAMILIES = frozenset(
    {"activations", "constraints", "initializers", "losses", "metrics", "ops", "optimizers", "regularizers"}
)


def read_keras_config(
    source: Path | str | BinaryIO, *, maximal_bytes: int = MAXIMAL_CONFIG_BYTES, where: str | None = None
) -> Any:
    """`config.json` of a `.keras` file, parsed.

    Args:
        source: a path, or an open binary file that can seek; it is left open.
        maximal_bytes: of `config.json`, declared and unpacked.
        where: what messages call the file; else its path.

    Raises:
        UnsafeFileError: the zip file is refused, or the configuration is larger or nested deeper than the limits.
        DamagedFileError: this is no zip file, has no `config.json`, or that is no JSON.
        StorageError: the path cannot be opened.
    """
    with opened(source, where) as (file, name):
        archive = SafeZip(file, name)
        try:
            data = archive.read(CONFIG_MEMBER, maximal_bytes)
        finally:
            archive.close()
    return parse_config(data, f"{name}: {CONFIG_MEMBER}")


def parse_config(data: bytes, where: str) -> Any:
    """JSON of a stranger, parsed in bounded memory.

    Raises:
        UnsafeFileError: more than `MAXIMAL_CONFIG_VALUES` values, or nested deeper than `MAXIMAL_CONFIG_DEPTH`.
        DamagedFileError: it is no JSON.
    """
    count = count_values(data)
    if count > MAXIMAL_CONFIG_VALUES:
        refuse(where, "too many values", f"about {count}", f"at most {MAXIMAL_CONFIG_VALUES}")
    try:
        config = json.loads(data)
        depth = _depth(config)
    except RecursionError:
        depth = MAXIMAL_CONFIG_DEPTH + 1
    except ValueError as error:
        raise DamagedFileError(f"{where}: it is no JSON ({str(error)[:300]})") from error
    if depth > MAXIMAL_CONFIG_DEPTH:
        refuse(where, "it is nested too deep", f"more than {MAXIMAL_CONFIG_DEPTH} levels", f"{MAXIMAL_CONFIG_DEPTH}")
    return config


def _depth(value: Any) -> int:
    """Levels of lists and objects inside each other."""
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    return depth


def find_code(config: Any) -> list[str]:
    """What in a configuration holds code, or names code outside Keras: loading such a model runs it.

    `Lambda`, `__lambda__` and `TFSMLayer`; classes of other modules than Keras'; classes and functions registered by
    name; functions of Keras where a class or a mathematical function belongs (`keras.utils.get_file` downloads). Each
    once, in order of appearance; after `MAXIMAL_FINDINGS` a last line says that there is more. An empty list is no
    promise: a plain name of a function (`"builtins"`) may be Keras' or the user's.
    """
    found: dict[str, None] = {}
    for item in _objects(config):
        reason = _why_code(item)
        if reason is not None:
            found[reason] = None
        if len(found) > MAXIMAL_FINDINGS:
            return [*list(found)[:MAXIMAL_FINDINGS], "and more"]
    return list(found)


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Every serialised object, outer before inner."""
    pending = [config]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                yield value
            pending.extend(reversed(value.values()))
        elif isinstance(value, list | tuple):
            pending.extend(reversed(value))


def _why_code(item: dict[str, Any]) -> str | None:
    class_name, module, config = item["class_name"], item.get("module"), item.get("config")
    if not isinstance(class_name, str) or not isinstance(module, str | None):
        return "an object whose class or module is no text"
    if class_name in _CODE_CLASSES:
        name = config.get("name") if isinstance(config, dict) else None
        return f"{class_name} {name[:200]!r}" if isinstance(name, str) else class_name
    if class_name == "function":
        return _why_function(module or "builtins", config)
    if not module:
        registered = item.get("registered_name") or (class_name if ">" in class_name else None)
        return f"registered class {str(registered)[:200]}" if registered else None
    if module.split(".")[0] != "keras" or class_name[:1].islower():
        return f"{module[:200]}.{class_name[:200]}"
    return None


def _why_function(module: str, name: Any) -> str | None:
    if not isinstance(name, str):
        return "a function whose name is no text"
    if ">" in name:
        return f"registered function {name[:200]}"
    root, *families = module.split(".")
    if root == "builtins" or (root == "keras" and _FUNCTION_FAMILIES & set(families)):
        return None
    return f"{module[:200]}.{name[:200]}"
