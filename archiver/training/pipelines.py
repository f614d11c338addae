"""Data sets that are programs: what can be told of tf.data, a PyDataset or a generator without running it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from archiver.collect.redaction import hide_home, is_secret_name, redact_json, redact_text
from archiver.records.base import Unavailable
from archiver.records.dataset import LoaderPart, OperationPart, PipelinePart
from archiver.storage.jsonable import jsonable, qualified_name

MAXIMAL_OPERATIONS = 100
COUNTED_OPERATIONS = 1000
MAXIMAL_ATTRIBUTES = 50
MAXIMAL_ITEMS = 20
MAXIMAL_TEXT = 200

_INFINITE = -1
_AUTOTUNE = -1
_AUTOTUNED = ("num_parallel_calls", "buffer_size", "cycle_length")
_SCALARS = ("bool", "int32", "int64", "float32", "float64", "string")
_OLD_NAMES = ("experimental_deterministic", "experimental_threading")
"""Of options that have a new name; asking for them makes TensorFlow warn."""


# -- tf.data


def describe_pipeline(dataset: Any) -> PipelinePart | Unavailable:
    """A tf.data pipeline; nothing is drawn from it."""
    try:
        return _pipeline(dataset)
    except Exception as error:  # noqa: BLE001 - much of it is found in what TensorFlow keeps to itself
        return Unavailable(unavailable=f"could not be looked at ({type(error).__name__})")


def _pipeline(dataset: Any) -> PipelinePart:
    cardinality = int(dataset.cardinality())
    operations = list(_operations(dataset, COUNTED_OPERATIONS))
    return PipelinePart(
        cardinality="infinite" if cardinality == _INFINITE else "unknown" if cardinality < 0 else cardinality,
        element_spec=describe_spec(dataset.element_spec),
        options=_options(dataset.options()),
        operations=tuple(_operation(each, depth) for each, depth in operations[:MAXIMAL_OPERATIONS]),
        left_out_count=max(0, len(operations) - MAXIMAL_OPERATIONS),
    )


def describe_spec(spec: Any) -> Any:
    """The structure of an element as JSON: dicts and lists as they are, leaves by type, shape and dtype."""
    if isinstance(spec, Mapping):
        return {str(key): describe_spec(value) for key, value in spec.items()}
    if isinstance(spec, list | tuple):
        return [describe_spec(value) for value in spec]
    shape, dtype = getattr(spec, "shape", None), getattr(spec, "dtype", None)
    sizes = shape.as_list() if shape is not None and shape.rank is not None else None
    return {"type": type(spec).__name__, "shape": sizes, "dtype": getattr(dtype, "name", None)}


def static_batch_size(dataset: Any) -> int | None:
    """The samples of each batch, where `batch` says so: with a remainder, the last one may be smaller."""
    for each, _ in _operations(dataset, MAXIMAL_OPERATIONS):
        if "Batch" in type(each).__name__ and hasattr(each, "_batch_size"):
            size = _setting("batch_size", each._batch_size)  # noqa: SLF001 - see _operation
            return size if isinstance(size, int) else None
        if type(each).__name__ in ("_UnbatchDataset", "_FlatMapDataset"):
            return None
    return None


def _operations(dataset: Any, maximal: int) -> Iterator[tuple[Any, int]]:
    """The operations with their depth, from the last one back to the sources, the inputs of each behind it."""
    waiting = [(dataset, 0)]
    for _ in range(maximal):
        if not waiting:
            return
        each, depth = waiting.pop()
        yield each, depth
        inputs = each._inputs() if hasattr(each, "_inputs") else []  # noqa: SLF001 - no public way back
        waiting += [(one, depth + 1) for one in reversed(inputs)]


def _operation(dataset: Any, depth: int) -> OperationPart:
    # TensorFlow keeps what an operation was made with in attributes of these names, and shows it nowhere else.
    settings = {}
    for name, value in dict(vars(dataset)).items():
        short = name.removeprefix("_")
        if short.startswith("self_") or short == "name" or "dataset" in short or value is None:
            continue
        found = _setting(short, value)
        if found is not None:
            settings[short] = found
    return OperationPart(depth=depth, operation=type(dataset).__name__, settings=redact_json(settings))


def _setting(name: str, value: Any) -> Any:
    if type(value).__name__ == "StructuredFunctionWrapper":
        return qualified_name(value._func)  # noqa: SLF001 - the function as the user gave it
    if hasattr(value, "numpy") and value.shape == () and value.dtype.name in _SCALARS:
        value = value.numpy()
        value = value.decode(errors="replace") if isinstance(value, bytes) else value.item()
    if isinstance(value, int) and value == _AUTOTUNE and name in _AUTOTUNED:
        return "autotune"
    if isinstance(value, str):
        return hide_home(redact_text(value))[:MAXIMAL_TEXT]
    return value if isinstance(value, bool | int | float) else None


def _options(options: Any) -> dict[str, Any]:
    """The options that are set, nested ones as dicts."""
    found = {}
    for name in dir(type(options)):
        if name in _OLD_NAMES or not isinstance(getattr(type(options), name), property):
            continue
        value = getattr(options, name)
        if any(cls.__name__ == "OptionsBase" for cls in type(value).__mro__):
            value = _options(value) or None
        if value is not None:
            found[name] = value if isinstance(value, dict) else getattr(value, "name", jsonable(value))
    return found


# -- Python


def describe_py_dataset(dataset: Any) -> LoaderPart | Unavailable:
    """How a PyDataset is run, and what it holds that can be shown."""
    try:
        attributes = {name: value for name, value in dict(vars(dataset)).items() if not name.startswith("_")}
        shown = {name: _attribute(name, value) for name, value in list(attributes.items())[:MAXIMAL_ATTRIBUTES]}
        return LoaderPart(
            workers=int(dataset.workers),
            use_multiprocessing=bool(dataset.use_multiprocessing),
            max_queue_size=int(dataset.max_queue_size),
            attributes=redact_json(shown),
            left_out_count=max(0, len(attributes) - MAXIMAL_ATTRIBUTES),
        )
    except Exception as error:  # noqa: BLE001 - whatever a class of the user's own raises
        return Unavailable(unavailable=f"could not be looked at ({type(error).__name__})")


def describe_generator(generator: Any) -> LoaderPart:
    """A generator's name; looking further would consume it."""
    name = getattr(generator, "__qualname__", None)
    return LoaderPart(function=name if isinstance(name, str) else None)


def _attribute(name: str, value: Any) -> Any:
    if is_secret_name(name):
        return "[redacted]"
    if isinstance(value, str):
        text = hide_home(redact_text(value))
        return text if len(text) <= MAXIMAL_TEXT else {"text": len(text)}
    if isinstance(value, list | tuple | set | frozenset | Mapping) and len(value) > MAXIMAL_ITEMS:
        return {"object": qualified_name(type(value)), "length": len(value)}
    if isinstance(value, list | tuple):
        return [_attribute(name, item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _attribute(str(key), item) for key, item in value.items()}
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(shape, tuple) and dtype is not None:
        return {"array": {"shape": [int(size) for size in shape], "dtype": str(dtype)}}
    return jsonable(value) if value is None or isinstance(value, bool | int | float) else _named(value)


def _named(value: Any) -> Any:
    return qualified_name(value) if callable(value) else {"object": qualified_name(type(value))}
