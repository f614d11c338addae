"""Runs the recorded cells of a notebook one after the other: `python -m archiver.reproduction.cells FILE`.

As in the notebook, a cell that fails does not keep the next ones from running. What only IPython understands is
translated where it means something for a program, and left out with a word where it does not. Nothing of archiver or
IPython is needed, and the file is the program: its lines are what tracebacks and archives speak of.
"""

from __future__ import annotations

import ast
import re
import sys
import traceback
from collections.abc import Iterator
from types import ModuleType
from typing import Any

MARK = re.compile(r"^# %% \[\d+\]$")

_VARIABLE = re.compile(r"%(?:env|set_env)\s+(\w+)\s*[= ]\s*(.*)")
_FOLDER = re.compile(r"%cd\s+(?:-q\s+)?[\"']?([^\"']+?)[\"']?\s*")
_TIMED = re.compile(r"%(?:time|timeit|prun|memit)\s+(?![-])(.+)")
_SILENT = frozenset((
    "matplotlib", "pylab", "load_ext", "reload_ext", "autoreload", "config", "precision", "who", "whos", "pwd", "ls",
    "history", "notebook", "pip", "conda", "mamba", "uv", "store", "logstart", "xmode", "debug", "pdb", "tensorboard",
    "time", "colors", "clear", "pinfo", "pinfo2", "doctest_mode", "timeit", "prun", "memit",
))  # fmt: skip
"""Magics that show or set up something of the notebook, or install packages, which the environment has."""
_HARMLESS_CELLS = frozenset(("time", "timeit", "capture", "prun", "memit"))
_ASSIGNED = re.compile(r"\s*[\w, ]+=\s*[!%]")
_INSTALLER = re.compile(r"!\s*(?:pip3?|conda|mamba|uv|python3? -m pip)\b")


def cells_of(text: str) -> Iterator[tuple[int, list[str]]]:
    """Number of the first line (from 1), and the lines, of each cell."""
    cell: list[str] = []
    first = 1
    for number, line in enumerate(text.splitlines(), start=1):
        if MARK.match(line):
            if cell:
                yield first, cell
            cell, first = [], number + 1
        else:
            cell.append(line)
    if cell:
        yield first, cell


def translated(lines: list[str]) -> tuple[list[str], list[str]]:
    """A cell as Python, as many lines as before, and what had to be left out."""
    left_out: list[str] = []
    start = next((number for number, line in enumerate(lines) if line.strip()), None)
    if start is not None and lines[start].startswith("%%"):
        name = lines[start][2:].split(maxsplit=1)[0] if lines[start][2:].strip() else ""
        if name not in _HARMLESS_CELLS:
            return [""] * len(lines), [lines[start]]
        lines = [*lines[:start], "", *lines[start + 1 :]]
    try:
        ast.parse("\n".join(lines))  # a line that begins with % may be the rest of an expression
    except (SyntaxError, ValueError):
        return [_line(line, left_out) for line in lines], left_out
    return lines, left_out


def _line(line: str, left_out: list[str]) -> str:
    stripped = line.strip()
    indent = line[: len(line) - len(line.lstrip())]
    if stripped.startswith("%"):
        return _magic(stripped, indent, left_out)
    if stripped.startswith("!") or _ASSIGNED.match(line):
        if not _INSTALLER.match(stripped):
            left_out.append(stripped)
        return f"{indent}pass"
    if stripped.startswith("?") or (stripped.endswith("?") and "#" not in stripped):
        return f"{indent}pass"
    return line


def _magic(text: str, indent: str, left_out: list[str]) -> str:
    variable, folder, timed = _VARIABLE.fullmatch(text), _FOLDER.fullmatch(text), _TIMED.fullmatch(text)
    if variable:
        return f"{indent}__import__('os').environ[{variable[1]!r}] = {variable[2]!r}"
    if folder:
        return f"{indent}__import__('os').chdir(__import__('os').path.expanduser({folder[1]!r}))"
    if timed:
        return indent + timed[1]
    if re.split(r"\W", text[1:], maxsplit=1)[0] not in _SILENT:
        left_out.append(text)
    return f"{indent}pass"


def obstacles(text: str) -> list[str]:
    """What of the cells cannot be run outside of IPython."""
    found: list[str] = []
    for _, lines in cells_of(text):
        code, left_out = translated(lines)
        found += [*left_out, *_calls_left_out("\n".join(code))]
    return found


def _calls_left_out(code: str) -> Iterator[str]:
    """Of the calls that IPython makes of magics before it keeps them: those that are left out."""
    try:
        nodes = list(ast.walk(ast.parse(code)))
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in nodes:
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        owner = node.func.value
        if isinstance(owner, ast.Call) and isinstance(owner.func, ast.Name) and owner.func.id == "get_ipython":
            words = [each.value for each in node.args if isinstance(each, ast.Constant)]
            yield from Shell({}).left_out_of(node.func.attr, *map(str, words))


class Shell:
    """What the cells get as `get_ipython()`: IPython keeps `%magic` as a call of its shell."""

    def __init__(self, names: dict[str, Any]) -> None:
        self._names = names

    def left_out_of(self, method: str, *words: str) -> list[str]:
        """What a call cannot do here."""
        left_out: list[str] = []
        if method == "run_line_magic":
            _magic(f"%{' '.join(words)}".strip(), "", left_out)
        elif method == "run_cell_magic" and words[:1] and words[0] not in _HARMLESS_CELLS:
            left_out.append(f"%%{words[0]}")
        elif method in ("system", "getoutput") and not _INSTALLER.match(f"!{words[0] if words else ''}"):
            left_out.append(f"!{words[0] if words else ''}")
        return left_out

    def run_line_magic(self, name: str, line: str = "", *_: Any, **__: Any) -> Any:
        """As the magic, where it means something for a program."""
        _tell(self.left_out_of("run_line_magic", name, line))
        code = _magic(f"%{name} {line}".strip(), "", [])
        try:
            return eval(code, self._names)  # noqa: S307 - the user's own cells
        except SyntaxError:
            exec(code, self._names)  # noqa: S102
            return None

    def run_cell_magic(self, name: str, line: str, cell: str) -> None:  # noqa: ARG002 - IPython's signature
        """The cell, where the magic only measures it."""
        left_out = self.left_out_of("run_cell_magic", name)
        _tell(left_out)
        if not left_out:
            exec(cell, self._names)  # noqa: S102

    def system(self, command: str) -> None:
        """Nothing: no command of a shell is run."""
        _tell(self.left_out_of("system", command))

    def getoutput(self, command: str, *_: Any, **__: Any) -> list[str]:
        """No lines: no command of a shell is run."""
        _tell(self.left_out_of("getoutput", command))
        return []

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"the cells run as a program, where IPython's shell has no {name!r}")


def _tell(left_out: list[str]) -> None:
    for each in left_out:
        print(f"archiver: left out, since it is no Python: {each}", file=sys.stderr)  # noqa: T201 - a program


def run_cells(path: str) -> int:
    """Run the cells of a file.

    Returns:
        how many failed.
    """
    with open(path, encoding="utf-8") as file:
        text = file.read()
    module = ModuleType("__main__")
    module.__file__ = path
    shell = Shell(module.__dict__)
    module.__dict__.update(display=print, get_ipython=lambda: shell)
    sys.modules["__main__"] = module
    failures = 0
    for first, lines in cells_of(text):
        code, left_out = translated(lines)
        _tell(left_out)
        try:
            exec(compile("\n" * (first - 1) + "\n".join(code), path, "exec"), module.__dict__)  # noqa: S102
        except Exception:  # noqa: BLE001 - as in the notebook
            traceback.print_exc()
            failures += 1
    return failures


if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    sys.path[0] = ""
    run_cells(sys.argv[0])
