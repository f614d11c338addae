"""How far `archiver.estimate_memory` is from the peak that training really takes.

Each model is trained for some steps in a process of its own. What is measured is the peak of resident memory (VmHWM,
reset through clear_refs) above what was resident before the model and the data were made, with Keras imported.

python -m benchmarks.memory_estimate
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from benchmarks.common import print_machine, print_table

STEPS = 4
MEBI = 2**20


def _mlp() -> tuple[Any, Any, Any, int]:
    import keras
    import numpy as np

    layers = [keras.layers.Dense(2048, "relu") for _ in range(3)]
    model = keras.Sequential([keras.layers.Input((1024,)), *layers, keras.layers.Dense(10, "softmax")])
    return model, np.zeros((STEPS * 1024, 1024), "float32"), np.zeros(STEPS * 1024, "int32"), 1024


def _cnn() -> tuple[Any, Any, Any, int]:
    import keras
    import numpy as np

    convolutions = [keras.layers.Conv2D(size, 3, activation="relu", padding="same") for size in (32, 32)]
    head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10, "softmax")]
    body = [
        convolutions[0], keras.layers.BatchNormalization(), keras.layers.MaxPooling2D(), convolutions[1],
        keras.layers.MaxPooling2D(),
    ]  # fmt: skip
    model = keras.Sequential([keras.layers.Input((64, 64, 3)), *body, *head])
    # The last batch is smaller: a second shape to compile for.
    return model, np.zeros((3 * 128 + 40, 64, 64, 3), "float32"), np.zeros(3 * 128 + 40, "int32"), 128


def _lstm() -> tuple[Any, Any, Any, int]:
    import keras
    import numpy as np

    layers = [keras.layers.LSTM(128, return_sequences=True), keras.layers.LSTM(128)]
    model = keras.Sequential([keras.layers.Input((100, 32)), *layers, keras.layers.Dense(2, "softmax")])
    return model, np.zeros((STEPS * 128, 100, 32), "float32"), np.zeros(STEPS * 128, "int32"), 128


def _transfer() -> tuple[Any, Any, Any, int]:
    import keras
    import numpy as np

    base = keras.applications.MobileNetV2(input_shape=(96, 96, 3), include_top=False, weights=None, pooling="avg")
    model = keras.Sequential([base, keras.layers.Dense(10, "softmax")])
    return model, np.zeros((STEPS * 32, 96, 96, 3), "float32"), np.zeros(STEPS * 32, "int32"), 32


def _transformer() -> tuple[Any, Any, Any, int]:
    import keras
    import numpy as np

    tokens = keras.layers.Input((128,), dtype="int32")
    values = keras.layers.Embedding(20_000, 256)(tokens)
    attended = keras.layers.MultiHeadAttention(8, 32)(values, values)
    values = keras.layers.LayerNormalization()(values + attended)
    inner = keras.layers.Dense(256)(keras.layers.Dense(1024, "relu")(values))
    values = keras.layers.LayerNormalization()(values + inner)
    outputs = keras.layers.Dense(2, "softmax")(keras.layers.GlobalAveragePooling1D()(values))
    model = keras.Model(tokens, outputs)
    return model, np.zeros((STEPS * 64, 128), "int32"), np.zeros(STEPS * 64, "int32"), 64


MODELS = {
    "MLP, Adam": _mlp,
    "CNN, last batch smaller": _cnn,
    "LSTM": _lstm,
    "MobileNetV2, 96 x 96": _transfer,
    "transformer, embedding": _transformer,
}


def measure(name: str) -> dict[str, Any]:
    """Estimated and measured bytes, in this process."""
    import keras

    import archiver
    from archiver.sampling.memory_sources import ProcessMemory
    from archiver.sampling.peaks import PeakMeter

    keras.random.normal((1,))  # the backend's own beginning is no part of a model
    meter = PeakMeter()
    before = ProcessMemory().rss_bytes()
    model, x, y, batch_size = MODELS[name]()
    model.compile("adam", loss="sparse_categorical_crossentropy")
    x += 1  # zeros take no memory before they are written
    y += 1
    estimate = archiver.estimate_memory(model, batch_size, data=(x, y))
    meter.take()
    model.fit(x, y, batch_size=batch_size, epochs=1, verbose=0)
    return {"estimated": estimate.total_bytes, "measured": meter.take() - before} | estimate.parts()


def measured_apart(name: str) -> dict[str, Any]:
    """The same in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.memory_estimate", name]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


def main() -> None:
    """Print the table."""
    print_machine()
    rows = []
    for name in MODELS:
        found = measured_apart(name)
        ratio = found["estimated"] / found["measured"]
        rows.append([name, f"{found['estimated'] / MEBI:.0f}", f"{found['measured'] / MEBI:.0f}", f"{ratio:.2f}"])
        print(name, {key: round((value or 0) / MEBI) for key, value in found.items()}, file=sys.stderr)
    columns = ("model", "estimated, MiB", "measured, MiB", "estimated / measured")
    print_table("Memory of training above that of the process before", columns, rows)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
    else:
        main()
