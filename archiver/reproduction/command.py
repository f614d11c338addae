"""The command of a run, as it is run in the rebuilt tree."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from archiver.archive.findings import printable
from archiver.collect.source_files import is_installed
from archiver.errors import ArgumentError
from archiver.records.base import Json
from archiver.reproduction.recipe import COPIES, Recipe, cannot
from archiver.reproduction.source_tree import SourceTree

CELLS_RUNNER = "archiver.reproduction.cells"
DATA_VARIABLE = "ARCHIVER_DATA_"
"""Beginning of the environment variables that tell a program where data has gone: `ARCHIVER_DATA_<NAME>`."""


@dataclass(frozen=True)
class Moved:
    """Data that is elsewhere now."""

    name: str
    """As the user named it."""
    recorded: str
    """The path by which the program looks for it."""
    path: Path
    """Where it is, absolute."""


@dataclass(frozen=True)
class Command:
    """What is run: a program and its arguments, without a shell."""

    words: tuple[str, ...]
    folder: Path
    python_path: tuple[str, ...]
    moved: tuple[Moved, ...] = ()

    @property
    def text(self) -> str:
        """For a terminal, quoted as a shell would need it."""
        return printable(shlex.join(self.words))


@dataclass(frozen=True)
class _Places:
    """What became of the paths of the machine of the run."""

    recipe: Recipe
    tree: SourceTree
    work: Path

    @property
    def folder(self) -> Path:
        """The working directory: in the tree where it was in it, else an empty folder."""
        return self.new_place(self.recipe.folder) or self.work / "elsewhere"

    def new_place(self, path: Path) -> Path | None:
        """Where a path below the recorded root is now; None for all others."""
        for outer, inner in ((self.recipe.root, path), (_real(self.recipe.root), _real(path))):
            if inner == outer or (inner.is_relative_to(outer) and ".." not in inner.relative_to(outer).parts):
                return self.tree.root / inner.relative_to(outer)
        return None

    def word(self, word: str) -> str:
        """An argument: paths into the tree lead there, others stay as they are."""
        path = os.path.expanduser(word)
        is_absolute = os.path.isabs(path)
        if not is_absolute and self.new_place(self.recipe.folder) is not None:
            return word
        place = self.new_place(Path(os.path.normpath(self.recipe.folder / path)))
        if place is not None and (is_absolute or place.exists()):
            return str(place)
        return path if is_absolute and word != path else word


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def command_of(
    recipe: Recipe, tree: SourceTree, work: Path, python: str, data: dict[str, Path] | None = None
) -> Command:
    """The recorded command in the rebuilt tree.

    Args:
        recipe: what the archive says.
        tree: the rebuilt tree.
        work: the folder of the repetition.
        python: the interpreter.
        data: `--data NAME=PATH`.

    Raises:
        CannotReproduceError: an installed program was started that is not here.
        ArgumentError: `data` names what the archive does not know, or what is not there.
    """
    places = _Places(recipe, tree, work)
    moved = tuple(_moved(recipe, name, path) for name, path in (data or {}).items())
    substituted = {each.recorded: str(each.path) for each in moved}
    target = [substituted.get(word, places.word(word)) for word in _target(recipe, python)]
    arguments = [_substituted(word, substituted) or places.word(word) for word in recipe.command.arguments]
    if recipe.is_notebook:
        target, arguments = ["-m", CELLS_RUNNER, str(cells_file(recipe, tree))], []
    words = (python, *recipe.command.interpreter_options, *target, *arguments)
    if recipe.is_notebook:
        words = (python, *target)
    return Command(words, places.folder, _python_path(recipe, places), moved)


def _target(recipe: Recipe, python: str) -> list[str]:
    command = recipe.command
    assert command.target is not None or recipe.is_notebook
    if command.start == "module":
        return ["-m", str(command.target)]
    if command.start == "code":
        return ["-c", str(command.target)]
    target = os.path.expanduser(str(command.target))
    if os.path.isabs(target) and not Path(target).is_relative_to(recipe.root) and is_program(target):
        program = Path(python).parent / Path(target).name
        if not program.exists():
            raise cannot(recipe.run, [f"the installed program {Path(target).name}, which was started: install it"])
        return [str(program)]
    return [str(command.target)]


def is_program(path: str) -> bool:
    """Whether a script is an installed program rather than a user's own."""
    return is_installed(path) or Path(path).parent.name in ("bin", "Scripts")


def cells_file(recipe: Recipe, tree: SourceTree) -> Path:
    """The script that the cells of a notebook are."""
    return tree.root / str(recipe.source.entry).removeprefix(COPIES)


# -- data that has moved


def _substituted(word: str, moved: dict[str, str]) -> str | None:
    """A word that is a recorded path of data, or `--option=` and that."""
    if word in moved:
        return moved[word]
    option, equals, value = word.partition("=")
    return f"{option}={moved[value]}" if equals and option.startswith("-") and value in moved else None


def _moved(recipe: Recipe, name: str, path: Path) -> Moved:
    if not path.exists():
        raise ArgumentError(f"Received --data {name}={path}, where there is nothing. Expected a file or a folder.")
    recorded = _recorded_path(recipe.dataset_source, name) or name
    return Moved(name, recorded, Path(os.path.abspath(path)))


def _recorded_path(source: Json, name: str) -> str | None:
    """The path that `dataset_source` gives under a name: a key, or keys joined by `/`."""
    for part in name.split("/"):
        if isinstance(source, dict) and part in source:
            source = source[part]
        elif isinstance(source, list) and part.isdecimal() and int(part) < len(source):
            source = source[int(part)]
        else:
            return None
    return source if isinstance(source, str) else None


def link_data(recipe: Recipe, tree: SourceTree, command: Command, work: Path) -> list[str]:
    """Put links where the program looks for data that has moved, as far as that is in the new tree.

    Returns:
        What could not be redirected: paths outside of the tree that stand in no argument.
    """
    places, out_of_reach = _Places(recipe, tree, work), []
    for each in command.moved:
        absolute = Path(os.path.normpath(recipe.folder / os.path.expanduser(each.recorded)))
        place = places.new_place(absolute)
        if place is None and not os.path.isabs(os.path.expanduser(each.recorded)):
            place = Path(os.path.normpath(command.folder / each.recorded))
            place = place if place.is_relative_to(command.folder) else None
        if place is not None and _leaves_by_a_link(place, work):
            out_of_reach.append(f"{each.recorded}: a link of the source tree leads out of it, where nothing is put")
        elif place is not None and not os.path.lexists(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(each.path)
        elif place is None and str(each.path) not in " ".join(command.words):
            out_of_reach.append(
                f"{each.recorded}: the program has this path in its code, where nothing can be put in its place; "
                f"it may read {variable_of(each.name)}, which is set"
            )
    return out_of_reach


def _leaves_by_a_link(place: Path, work: Path) -> bool:
    return not Path(os.path.realpath(place.parent)).is_relative_to(os.path.realpath(work))


def variable_of(name: str) -> str:
    """The environment variable that says where the data of a name are."""
    return DATA_VARIABLE + re.sub(r"\W", "_", name).upper()


# -- where modules are found


def _python_path(recipe: Recipe, places: _Places) -> tuple[str, ...]:
    """Entries for PYTHONPATH, in the order in which the run had them.

    What is on the path of the run only by an editable install is so, too: here it is in another folder.
    """
    recorded = recipe.system.python.path if recipe.system is not None else ()
    found: dict[str, None] = {}
    for entry in recorded:
        place = places.new_place(Path(os.path.normpath(recipe.folder / os.path.expanduser(entry))))
        if place is not None and place.is_dir():
            found[str(place)] = None
    found |= dict.fromkeys(str(places.tree.root / root) for root in _import_roots(recipe))
    if places.tree.outer.is_dir():
        found[str(places.tree.outer)] = None
    return tuple(found)


def _import_roots(recipe: Recipe) -> Iterable[str]:
    """Folders of the tree that imported modules were found in, told by their names."""
    found: dict[str, None] = {}
    for path, part in recipe.inner_files.items():
        if not part.module or part.role != "module":
            continue
        place = PurePosixPath(path)
        names = part.module.split(".")
        names = names if place.name == "__init__.py" else names[:-1]
        parts = place.parent.parts
        if not names or parts[-len(names) :] == tuple(names):
            found[PurePosixPath(*parts[: len(parts) - len(names)]).as_posix()] = None
    return found
