"""Code that works on this archive as it stands, run in its folder; what would not work for this run is left out.

Texts from outside stand in the code as literals of printable characters, on one line.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from typing import Any

from archiver import layout
from archiver.archive.run import Run
from archiver.archive.snapshots import snapshot_folders
from archiver.report.markdown import Safe, format_number, in_words, printable
from archiver.report.values import is_finite, known, single_shapes

MAXIMAL_INLINE_NAMES = 300
"""Characters of class names up to which they stand in the code; longer lists are read from the record."""
MAXIMAL_LINE = 84
MAXIMAL_COMMENT = 70
"""Characters of the user's words on preprocessing."""
UNKNOWN_LENGTH = 16
"""Of an axis that may have any length."""

_SAFE_URL = re.compile(r"[A-Za-z0-9@:/._~+-]+")
_NUMERIC = re.compile(r"(u?int|float|bfloat)\d+|bool")


@dataclass(frozen=True)
class Snippet:
    """One piece of code with its title."""

    title: str
    language: str
    """`python` and `bash` run as they stand in the archive's folder; `text` is to be read."""
    code: Safe


def use_snippets(run: Run, records: dict[str, Any]) -> list[Snippet]:
    """How to load the model and predict, go on training, and read the records."""
    found = []
    load = _load(run, records)
    if load:
        names = _class_names(records)
        code = load + _predict(records, names)
        title = "Load and predict" if "predict" in code else "Load the model"
        found.append(Snippet(title, "python", Safe(code)))
        more = _continue(run, records, load)
        if more:
            found.append(Snippet("Go on training, as a new run", "python", Safe(more)))
    if snapshot_folders(run):
        found.append(Snippet("Go on where it was cut off, bit for bit", "text", Safe(_RESUME)))
    found.append(Snippet("Read the records", "python", Safe(_read(run))))
    found.append(Snippet("Check that nothing was changed", "bash", Safe(_VERIFY)))
    return found


def reproduce_snippets(run: Run, records: dict[str, Any]) -> list[Snippet]:
    """How to get the code, the packages and the command again."""
    found = []
    if _can_be_run_again(records):
        found.append(Snippet("Run it again, and compare", "text", Safe(_REPRODUCE)))
    checkout = _checkout(run, records["git"])
    if checkout:
        found.append(Snippet("The code as it was", "bash", Safe(checkout)))
    if records["packages"] is not None:
        found.append(Snippet("The packages it ran with", "python", Safe(_PACKAGES)))
    command = command_line(records["run"])
    if command:
        found.append(Snippet("The command that was run", "text", Safe(f"{command}\n")))
    return found


_IMPORTS = "import keras\nimport numpy as np\n\n"

_RESUME = "archiver resume .   # where it was trained: shows the recorded command, and runs it again\n"
_REPRODUCE = """\
archiver reproduce .   # shows what will be run, runs it in a fresh folder, and says whether it is the same
archiver reproduce . --environment rebuild   # with the recorded packages, installed anew
"""
_VERIFY = "archiver verify .\nmd5sum --quiet -c manifest-md5.txt   # the same without archiver\n"

_PACKAGES = """\
from pathlib import Path

import archiver

packages = archiver.Run.open(".").read(archiver.layout.PACKAGES).packages.values()
released = [part for part in packages if isinstance(part.version, str) and not part.editable]
lines = [f"{part.name}=={part.version}\\n" for part in released]
Path("../requirements.txt").write_text("".join(lines))
# then: pip install -r ../requirements.txt
"""


def _read(run: Run) -> str:
    lines = ["import archiver", "", 'run = archiver.Run.open(".")', "print(run.status.describe())"]
    if run.has(layout.HISTORY):
        lines += [
            "history = run.read(archiver.layout.HISTORY)  # archiver.layout names all records",
            "for name, values in history.phases[-1].metrics.items():",
            "    print(name, values[-3:])",
        ]
    if run.has(layout.PREDICTIONS):
        lines[:0] = ["import numpy as np", ""]
        lines += [
            f'with np.load("{layout.PREDICTIONS.path(run.name)}", allow_pickle=False) as arrays:',
            "    print({name: arrays[name].shape for name in arrays.files})",
        ]
    return "\n".join(lines) + "\n"


def _load(run: Run, records: dict[str, Any]) -> str | None:
    """Loading the saved model, or what can be made of the configuration and the weights."""
    model = records["model_config"]
    if model is None or any("__main__" in name or not _is_lambda(name) for name in model.needs_trust):
        return None
    if run.has(layout.KERAS_MODEL):
        trust = ", safe_mode=False" if model.needs_trust else ""
        return f'{_IMPORTS}model = keras.saving.load_model("{_path(run, "keras")}"{trust})\n'
    if model.needs_trust:
        return None
    if run.has(layout.H5_MODEL):
        return f'{_IMPORTS}model = keras.saving.load_model("{_path(run, "h5")}", compile=False)\n'
    weights = layout.WEIGHTS_H5 if run.has(layout.WEIGHTS_H5) else layout.BEST_WEIGHTS
    if not run.has(weights) or not isinstance(model.config, dict) or "class_name" not in model.config:
        return None
    return (
        "import json\nfrom pathlib import Path\n\nimport keras\nimport numpy as np\n\n"
        f'record = json.loads(Path("{layout.MODEL_CONFIG.path(run.name)}").read_text(encoding="utf-8"))\n'
        'model = keras.saving.deserialize_keras_object(record["config"])\n'
        f'model.load_weights("{weights.path(run.name)}")\n'
    )


def _is_lambda(name: str) -> bool:
    return "lambda" in name.lower()


def _path(run: Run, kind: str) -> str:
    return layout.MODEL_FORMATS[kind].path(run.name)


def _predict(records: dict[str, Any], names: str) -> str:
    inputs = _arrays(records, "x", records["model_config"].input_shape)
    if inputs is None:
        return ""
    about = "".join(
        f"# {line}\n" for line in ("Your samples; the first axis counts them.", *_like_in_training(records))
    )
    code = f"\n{about}x = {inputs}\npredictions = model.predict(x, verbose=0)\n"
    outputs = single_shapes(records["model_config"].output_shape)
    if len(outputs) != 1:
        return code + "print(keras.tree.map_structure(np.shape, predictions))\n"
    if not names:
        return code + "print(predictions)\n"
    return code + names + "print([class_names[index] for index in predictions.argmax(axis=-1).ravel()])\n"


def _like_in_training(records: dict[str, Any]) -> list[str]:
    """Comments: what the values of the training data were like, and what was said of their preparation."""
    data, preprocessing = records["dataset_stats"], records["preprocessing"]
    split = data.splits.get("train") if data is not None else None
    ranges = []
    for array in known(split.arrays, ()) if split is not None else ():
        least, greatest = known(array.minimum), known(array.maximum)
        which, _, name = array.name.partition("/")
        if which == "x" and is_finite(least) and is_finite(greatest):
            of = f"{printable(name)[:40]} " if name else ""
            ranges.append(f"{of}from {format_number(least)} to {format_number(greatest)}")
    lines = [f"In training, values were {', '.join(ranges[:4])}."] if ranges else []
    given = preprocessing.description if preprocessing is not None else None
    text = printable(in_words(given)) if given else ""
    short = text if len(text) <= MAXIMAL_COMMENT else text[:MAXIMAL_COMMENT] + "..."
    return [*lines, f"Prepared as in training: {short}"] if text else lines


def _class_names(records: dict[str, Any]) -> str:
    """A line that defines `class_names`; empty where there are none, or they are not the columns of the output."""
    data, model = records["dataset_stats"], records["model_config"]
    names = data.class_names if data is not None else None
    shapes = list(single_shapes(model.output_shape).values())
    if not names or len(shapes) != 1 or not isinstance(shapes[0], list | tuple) or shapes[0][-1] != len(names):
        return ""
    literal = "[" + ", ".join(json.dumps(printable(name), ensure_ascii=False) for name in names) + "]"
    if len(literal) <= MAXIMAL_INLINE_NAMES:
        return f"class_names = {literal}\n"
    return (
        "import archiver\n\n"
        'class_names = archiver.Run.open(".").read(archiver.layout.DATASET_STATS).class_names\n'
    )  # fmt: skip


def _arrays(records: dict[str, Any], which: str, shapes: Any, count: int = 1) -> str | None:
    """A literal of zeros in the structure of a model's inputs or targets; None where it is not known."""
    found = _described(records["dataset_stats"], which)
    by_name = single_shapes(shapes) or {name: [None, *shape[1:]] for name, (shape, _) in found.items()}
    items = {}
    for name, shape in by_name.items():
        made = _zeros(shape, found.get(name) or (found.get("") if len(by_name) == 1 else None), count)
        if made is None:
            return None
        items[name] = made
    if not items:
        return None
    if list(items) == [""]:
        return items[""]
    if isinstance(shapes, list | tuple):
        return _on_lines("[", list(items.values()), "]")
    pairs = [f"{json.dumps(printable(name), ensure_ascii=False)}: {made}" for name, made in items.items()]
    return _on_lines("{", pairs, "}")


def _on_lines(opening: str, parts: list[str], closing: str) -> str:
    """A literal on one line, or with a line for each part where that would be too long to be read without scrolling."""
    line = f"{opening}{', '.join(parts)}{closing}"
    if len(line) <= MAXIMAL_LINE:
        return line
    return "\n".join([opening, *(f"    {part}," for part in parts), closing])


def _described(data: Any, which: str) -> dict[str, tuple[Any, str]]:
    """By key or position: shape and dtype of the inputs (`x`) or targets (`y`) of the training data."""
    split = data.splits.get("train") if data is not None else None
    arrays = known(split.arrays, ()) if split is not None else ()
    prefix = f"{which}/"
    return {
        array.name.removeprefix(prefix) if array.name != which else "": (list(array.shape), array.dtype)
        for array in arrays
        if array.name == which or array.name.startswith(prefix)
    }


def _zeros(shape: Any, described: tuple[Any, str] | None, count: int) -> str | None:
    if not isinstance(shape, list | tuple) or not shape:
        return None
    like, dtype = described or (list(shape), "float32")
    like = like if len(like) == len(shape) else list(shape)
    axes = [axis if axis is not None else like[index] for index, axis in enumerate(shape)]
    axes = [count] + [axis if axis is not None else UNKNOWN_LENGTH for axis in axes[1:]]
    if not _NUMERIC.fullmatch(dtype) or dtype.startswith("bfloat"):
        return None
    return f'np.zeros(({", ".join(map(str, axes))}{"," if len(axes) == 1 else ""}), dtype="{dtype}")'


def _continue(run: Run, records: dict[str, Any], load: str) -> str | None:
    """Only of a model that is saved with its compilation, and data whose targets are described."""
    if not run.has(layout.KERAS_MODEL) or records["optimizer_config"] is None:
        return None
    if records["optimizer_config"].phases[-1].class_name is None:
        return None
    x = _arrays(records, "x", records["model_config"].input_shape, count=8)
    described = {name: [None, *shape[1:]] for name, (shape, _) in _described(records["dataset_stats"], "y").items()}
    structure: Any = described.get("") if list(described) == [""] else described
    if described and all(name.isdecimal() for name in described):
        structure = list(described.values())
    y = _arrays(records, "y", structure, count=8) if described else None
    if x is None or y is None:
        return None
    return (
        load.replace("import keras\n", "import archiver\nimport keras\n", 1)
        + f"\n# Your samples, and their targets.\nx = {x}\ny = {y}\n"
        + f'archive = archiver.RunArchiver("..", name="{run.name[:120]}_continued", figures=False)\n'
        + "model.fit(x, y, epochs=1, verbose=0, callbacks=[archive])\n"
    )


def _can_be_run_again(records: dict[str, Any]) -> bool:
    """Whether the command is whole, or the cells of a notebook are."""
    command = known(records["run"].command) if records["run"] is not None else None
    source = records["source"]
    if command is None or source is None:
        return False
    if source.notebook is not None and source.entry == source.notebook.cells:
        return not source.notebook.redacted
    return not command.redacted and command.start in ("script", "module", "code")


def _checkout(run: Run, git: Any) -> str | None:
    """Only where a remote is known to hold the commit, and its address is plain."""
    repository: Any = known(git.repository) if git is not None else None
    commit = known(repository.commit) if repository is not None else None
    remotes = known(repository.remotes, ()) if repository is not None else ()
    urls = [remote.url for remote in remotes if remote.url and _SAFE_URL.fullmatch(remote.url)]
    if (
        repository is None
        or commit is None
        or not urls
        or known(repository.on_remote) is not True
        or urls[0].startswith("-")
    ):
        return None
    lines = [f"git clone --quiet {shlex.quote(urls[0])} ../code", f"git -C ../code checkout --quiet {commit.hash}"]
    if run.has(layout.PATCH):
        lines.append(f'git -C ../code apply "$PWD/{layout.PATCH.pattern}"')
    return "\n".join(lines) + "\n"


def command_line(record: Any) -> str | None:
    """How the process was started, where that was a script or a module; `record`: what the run is."""
    command = known(record.command) if record is not None else None
    if command is None or command.target is None or command.start not in ("script", "module"):
        return None
    words = [*command.interpreter_options, *(["-m"] if command.start == "module" else []), command.target]
    line = shlex.join(["python", *words, *command.arguments])
    return printable(line)[:2000].replace("`", "'")
