"""The front matter that makes README.md a model card of the Hugging Face Hub.

Every text is a JSON string, which YAML reads as the same text: nothing in it can begin a key, a tag or a document.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from archiver.report.markdown import Safe, printable
from archiver.report.values import is_finite, known, single_shapes, test_scores_of

LICENSES = frozenset(
    (
        "apache-2.0", "mit", "openrail", "bigscience-openrail-m", "creativeml-openrail-m", "bsd", "bsd-2-clause",
        "bsd-3-clause", "cc", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0",
        "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0",
        "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "wtfpl", "artistic-2.0",
        "ecl-2.0", "isc", "epl-2.0", "eupl-1.2", "agpl-3.0", "gpl", "gpl-2.0", "gpl-3.0", "lgpl", "lgpl-2.1",
        "lgpl-3.0", "mpl-2.0", "unlicense", "zlib", "unknown", "other",
    )
)  # fmt: skip
"""The names that the Hub knows; any other one is written as `license_name` of the license `other`."""

MAXIMAL_TAGS = 30
MAXIMAL_METRICS = 30
MAXIMAL_HUB_NAMES = 20
_MAXIMAL_TEXT = 120
_HUB_NAME = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,95}/)?[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_HUB_METRICS = {
    "accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1": "f1", "roc_auc": "roc_auc",
    "precision_macro": "precision", "recall_macro": "recall", "f1_macro": "f1", "roc_auc_macro": "roc_auc",
    "brier_score": "brier_score", "mse": "mse", "mean_squared_error": "mse", "mae": "mae",
    "mean_absolute_error": "mae", "r2": "r_squared",
}  # fmt: skip
"""By our names and Keras': the ids of metrics on the Hub that mean the same."""
_IMAGE_AXES = 3


def front_matter(records: dict[str, Any], name: str) -> Safe:
    """The lines from `---` to `---`, with a line feed at the end."""
    lines = ["---", *_license(records["run"]), "library_name: keras", "tags:"]
    lines += [f"- {_text(tag)}" for tag in _tags(records["run"])]
    found = _results(records)
    metrics = dict.fromkeys(_HUB_METRICS[kind] for *_, values in found for kind in values if kind in _HUB_METRICS)
    lines += (
        _list("metrics", metrics) + _hub_names(records["run"], "base_model") + _hub_names(records["run"], "datasets")
    )
    return Safe("\n".join([*lines, *_model_index(records, name, found), "---"]) + "\n")


def _list(key: str, items: Iterable[str]) -> list[str]:
    lines = [f"- {_text(item)}" for item in items]
    return [f"{key}:", *lines] if lines else []


def _hub_names(run: Any, key: str) -> list[str]:
    """What the user's notes name of the Hub under this key; nothing else is sure to be there."""
    notes = run.notes if run is not None else None
    given = notes.get(key) if isinstance(notes, dict) else None
    names = given if isinstance(given, list) else [given]
    return _list(key, [name for name in names if isinstance(name, str) and _is_hub_name(name)][:MAXIMAL_HUB_NAMES])


def _is_hub_name(name: str) -> bool:
    return _HUB_NAME.fullmatch(name) is not None and "--" not in name and ".." not in name


def _text(value: object) -> str:
    text = json.dumps(printable(str(value))[:_MAXIMAL_TEXT], ensure_ascii=False)
    return text.replace("<", "\\u003c")  # so that no mark and no tag stands there, whoever reads it


def _license(run: Any) -> list[str]:
    notes = run.notes if run is not None else None
    given = notes.get("license") if isinstance(notes, dict) else None
    if not isinstance(given, str) or not given.strip():
        return ["license: unknown"]
    key = given.strip().lower()
    return [f"license: {key}"] if key in LICENSES else ["license: other", f"license_name: {_text(given)}"]


def _tags(run: Any) -> list[str]:
    given = run.tags if run is not None else ()
    return list(dict.fromkeys(["keras", "archiver", *given]))[:MAXIMAL_TAGS]


def _model_index(records: dict[str, Any], name: str, found: list[tuple[str, str, str, dict[str, float]]]) -> list[str]:
    if not found:
        return []
    lines = ["model-index:", f"- name: {_text(name)}", "  results:"]
    dataset = dataset_name(records)
    for task, title, split, metrics in found:
        lines += ["  - task:", f"      type: {_text(task)}", f"      name: {_text(title)}", "    dataset:"]
        lines += [f"      name: {_text(dataset)}", f"      type: {_text(_slug(dataset))}", f"      split: {split}"]
        lines.append("    metrics:")
        for kind, value in list(metrics.items())[:MAXIMAL_METRICS]:
            lines += [
                f"    - type: {_text(kind)}",
                f"      name: {_text(f'{split} {kind}')}",
                f"      value: {value!r}",
            ]
    return lines


def _results(records: dict[str, Any]) -> list[tuple[str, str, str, dict[str, float]]]:
    """Task, its title, split and metrics: an entry per output that was scored, else one of what was measured."""
    results = records["results"]
    if results is None:
        return []
    found = []
    for output, score in test_scores_of(results).items():
        task = score.decision.task
        title = task.replace("_", "-") + (f": {output}" if len(test_scores_of(results)) > 1 else "")
        found.append((_hub_task(task, records), title, "test", _finite(score.values)))
    test = known(results.test)
    compiled = _finite(test.metrics) if test is not None else {}
    if compiled and not found:
        found.append((_hub_task("", records), "as compiled", "test", compiled))
    validation = _finite(
        {key.removeprefix("val_"): value for key, value in results.final_metrics.items() if key.startswith("val_")}
    )
    if validation and not found:
        found.append((_hub_task("", records), "as compiled", "validation", validation))
    return [entry for entry in found if entry[3]]


def _finite(values: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items() if is_finite(value)}


def _hub_task(task: str, records: dict[str, Any]) -> str:
    """The Hub's name of the task, by the model's input: pictures have three axes, tables one."""
    model = records["model_config"]
    shapes = list(single_shapes(model.input_shape).values()) if model is not None else []
    axes = {len(shape) - 1 for shape in shapes if isinstance(shape, list | tuple)}
    kind = "regression" if task == "regression" else "classification"
    if not task:
        return "other"
    if axes == {_IMAGE_AXES} and kind == "classification":
        return "image-classification"
    return f"tabular-{kind}" if axes == {1} else kind


def dataset_name(records: dict[str, Any]) -> str:
    """What the data are called, by the user or for want of that by the run's condition."""
    data, run = records["dataset_stats"], records["run"]
    source = data.source if data is not None else None
    if isinstance(source, dict) and isinstance(source.get("name"), str):
        return str(source["name"])
    if isinstance(source, str):
        return source
    return (run.name.condition if run is not None else None) or "not named"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-.") or "dataset"
