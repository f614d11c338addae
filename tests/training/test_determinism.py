"""What decides bits: read without touching it, and the sentences on what is left to chance."""

import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.random import seed_generator

import archiver
from archiver.records.base import Unavailable
from archiver.training.capture import FitCall
from archiver.training.determinism import determinism
from archiver.training.random_states import random_states
from archiver.training.seed_generators import MAXIMAL_COUNT, seed_generator_parts
from archiver.training.threads import usable_cores
from tests.training import small


@pytest.fixture(autouse=True)
def no_seed_of_ours_stays(monkeypatch):
    monkeypatch.setattr("archiver.training.seeding._last", None)


def described(model=None, **resolved):
    return determinism(model or small.model(), FitCall("frames", resolved=resolved))


def states():
    return random.getstate(), np.random.get_state()[1].tolist(), tf.random.get_global_generator().state.numpy().tolist()


def test_nothing_is_drawn_by_looking():
    archiver.seed(5)
    keras.random.normal((1,))
    model = small.model()
    before = states()
    first = described(model)
    assert states() == before
    assert described(model) == first
    random.random()
    changed = described(model).random_states
    assert {name for name in changed if changed[name] != first.random_states[name]} == {"python"}
    np.random.random()
    keras.random.normal((1,))
    tf.random.normal((1,))
    again = described(model).random_states
    assert {name for name in again if again[name] != changed[name]} == {"numpy", "keras", "tensorflow_operations"}


def test_digests_are_what_the_format_says():
    def digest(value):
        return hashlib.sha256(json.dumps(value, separators=(",", ":")).encode()).hexdigest()

    archiver.seed(7)
    found = random_states()
    assert found["keras"] is None, "Keras makes it when it is needed"
    version, words, gauss = random.getstate()
    assert found["python"] == digest([version, list(words), gauss])
    algorithm, key, position, has_gauss, cached = np.random.get_state()
    assert found["numpy"] == digest([algorithm, key.tolist(), position, has_gauss, cached])
    keras.random.normal((1,))
    assert random_states()["keras"] == digest(seed_generator.global_seed_generator().state.numpy().tolist())


def test_the_same_seed_gives_the_same_states():
    found = []
    for _ in range(2):
        archiver.seed(9)
        part = described(small.model())
        found.append((part.random_states["python"], part.random_states["numpy"], part.seed_generators[0].state))
    assert found[0] == found[1]


def test_seeds_whoever_set_them():
    keras.utils.set_random_seed(21)
    assert (described().seeds.keras, described().seeds.tensorflow) == (21, 21)
    tf.random.set_seed(22)
    assert (described().seeds.keras, described().seeds.tensorflow) == (21, 22)


def test_the_seed_generators_of_the_model():
    inner = keras.Sequential([keras.layers.Dropout(0.1, seed=4, name="first")], name="inner")
    model = keras.Sequential([keras.layers.Input((4,)), inner, keras.layers.GaussianNoise(0.1, name="second")])
    model(np.zeros((2, 4), "float32"), training=True)
    parts, count = seed_generator_parts(model)
    assert count == 2
    assert [(part.owner_class.rsplit(".", 1)[-1], part.attribute) for part in parts] == [
        ("Dropout", "seed_generator"),
        ("GaussianNoise", "seed_generator"),
    ]
    assert (parts[0].seed, parts[0].state) == (4, (4, 1)), "one draw was made"
    assert parts[1].state == tuple(model.layers[-1].seed_generator.state.numpy().tolist())
    many = keras.Sequential([keras.layers.Dropout(0.1, seed=1) for _ in range(MAXIMAL_COUNT + 5)])
    parts, count = seed_generator_parts(many)
    assert (len(parts), count) == (MAXIMAL_COUNT, MAXIMAL_COUNT + 5)


def test_threads_precision_and_devices():
    part = described()
    assert part.threads.usable_cores == usable_cores() == len(os.sched_getaffinity(0))
    assert part.threads.intra_op == tf.config.threading.get_intra_op_parallelism_threads()
    assert part.threads.intra_op_resolved == (part.threads.intra_op or usable_cores())
    assert part.tensor_float_32 is tf.config.experimental.tensor_float_32_execution_enabled()
    assert part.devices == {"CPU": len(tf.config.list_physical_devices("CPU"))}
    assert (part.floatx, part.epsilon, part.dtype_policy) == ("float32", 1e-7, "float32")
    assert part.denormals == "kept"
    assert part.environment["PYTHONHASHSEED"] == os.environ.get("PYTHONHASHSEED")
    assert isinstance(part.matmul_precision, Unavailable)


def sentences(model=None, **resolved):
    return " ".join(described(model, **resolved).sources_of_variation)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return small.arrays(8, index)


def test_what_is_left_to_chance():
    archiver.seed(1)
    x, y = small.arrays()
    seeded = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(48)
    assert "seeded" not in sentences(x=x, y=y)
    assert "tf.data" not in sentences(x=seeded.batch(8))
    assert "workers" not in sentences(x=Batches())
    assert "read by 3 workers" in sentences(x=Batches(workers=3))
    unordered = seeded.map(lambda a, b: (a, b), num_parallel_calls=2, deterministic=False).batch(8)
    assert "in the order in which they are ready" in sentences(x=unordered)
    assert "cannot be looked into" in sentences(x=iter([(x, y)]))


SCRIPT = """
import json, random, sys
import keras, numpy as np, tensorflow as tf
import archiver
from archiver import layout
{}
x, y = np.zeros((16, 4), "float32"), np.zeros((16, 1), "float32")
data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(16).batch(4)
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", loss="mse")
archive = archiver.RunArchiver(sys.argv[1], name="a")
model.fit(data, epochs=1, verbose=0, callbacks=[archive])
print(archive.run.path_of(layout.TRAIN_CONFIG))
"""


def in_a_process(tmp_path, beginning, **variables):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.format(beginning))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONHASHSEED"}
    environment |= {"PYTHONPATH": str(Path(__file__).parents[2]), "TF_CPP_MIN_LOG_LEVEL": "3"} | variables
    command = [sys.executable, str(script), str(tmp_path / "runs")]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(Path(done.stdout.split()[-1]).read_text())["phases"][0]


def test_a_process_that_nobody_seeded(tmp_path):
    phase = in_a_process(tmp_path, "", TF_ENABLE_ONEDNN_OPTS="0")
    part = phase["determinism"]
    assert part["seeds"] | {"torch": None} == {
        "keras": None,
        "tensorflow": None,
        "torch": None,
        "python_hash": "random",
    }
    assert "unavailable" in phase["seed"]
    assert part["onednn"] == {"enabled": False, "variable": "0"}
    text = " ".join(part["sources_of_variation"])
    assert "Nothing was seeded" in text
    assert "shuffles without a seed" in text
    assert "PYTHONHASHSEED is not set" in text


def test_a_process_that_repeats_bit_by_bit(tmp_path):
    beginning = (
        "tf.config.threading.set_intra_op_parallelism_threads(1)\n"
        "tf.config.threading.set_inter_op_parallelism_threads(1)\n"
        "archiver.seed(3, deterministic_ops=True)"
    )
    phase = in_a_process(tmp_path, beginning, PYTHONHASHSEED="0")
    part = phase["determinism"]
    assert part["sources_of_variation"] == []
    assert part["op_determinism"] is True
    assert part["threads"] == {
        "inter_op": 1, "intra_op": 1, "inter_op_resolved": 1, "intra_op_resolved": 1, "usable_cores": usable_cores(),
    }  # fmt: skip
    assert part["seeds"]["python_hash"] == 0
    assert phase["seed"]["seed"] == 3
    assert phase["jit_compile"]["reason"] == "op determinism is on: Keras then turns XLA off"
