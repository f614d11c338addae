"""Trainings that are killed and run again: each is a script that tells, at its end, all that it came to."""

from __future__ import annotations

COMMON = '''
import hashlib
import random
from archiver.storage.digests import canonical_json
from archiver.training.weights import optimizer_variables, seed_generators, weights_digest

OPTIONS = json.load(open("options.json"))
archiver.seed(11)
generator = np.random.default_rng(5)
x = generator.normal(size=(60, 6)).astype("float32")
y = (x.sum(axis=1) > 0).astype("int32")
x_val = generator.normal(size=(20, 6)).astype("float32")
y_val = (x_val.sum(axis=1) > 0).astype("int32")
layers = keras.layers
FOLDERS, STEPS, CHANGES = [], [], []


def archived(**more):
    if OPTIONS.get("backup"):
        FOLDERS.append(f"backup{len(FOLDERS)}")
        return keras.callbacks.BackupAndRestore(FOLDERS[-1])
    given = {"name": "run", "resume": True, "figures": False, "sampling_hertz": None, "formats": ["keras"]}
    return archiver.RunArchiver("runs", **given, snapshot_every=OPTIONS["every"], **more)


class Slow(keras.callbacks.Callback):
    """Steps that take a while, so that a kill by the clock meets all of the training."""

    def on_train_batch_end(self, batch, logs=None):
        time.sleep(OPTIONS["step_seconds"])
        STEPS.append(batch)
        if len(STEPS) == OPTIONS.get("kill_after_steps"):
            os.kill(os.getpid(), signal.SIGKILL)


def dense(*between, outputs=2):
    model = keras.Sequential([keras.Input((6,)), layers.Dense(8, activation="relu"), *between, layers.Dense(outputs)])
    return model


def compiled(model, optimizer="adam", **more):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss=loss, metrics=["accuracy"], **more)
    return model


def digest_of(value):
    return hashlib.sha256(repr(value).encode()).hexdigest()


def told(model, histories, **decisions):
    """Everything that must be the same as if nothing had happened."""
    tell("steps", len(STEPS))
    tell("changes", CHANGES)
    state = np.random.get_state()
    tell("result", {
        "weights": weights_digest(model.weights),
        "optimizer": weights_digest(optimizer_variables(model)),
        "seeds": weights_digest(seed_generators(model)),
        "random": digest_of((random.getstate(), state[0], state[1].tolist(), state[2:])),
        "histories": [[each.epoch, each.history] for each in histories],
        "learning_rate": float(model.optimizer.learning_rate),
        "decisions": decisions,
        "again": np.asarray(model.predict(x_val if OPTIONS.get("predict", True) else PREDICTED, verbose=0)).tolist(),
    })


def kill_by_the_clock():
    if OPTIONS["kill_after_seconds"] is not None:
        threading.Timer(OPTIONS["kill_after_seconds"], os.kill, (os.getpid(), signal.SIGKILL)).start()


def kill_at_a_change(event, arguments):
    """Before a file of the archive is opened for writing, renamed or removed: the one of that number, from 1."""
    is_change = event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate")
    is_change = is_change or event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
    if is_change and isinstance(arguments[0], str | os.PathLike) and FOLDER in os.path.abspath(arguments[0]):
        CHANGES.append(os.path.relpath(arguments[0]))
        if len(CHANGES) == OPTIONS.get("kill_at_change"):
            os.kill(os.getpid(), signal.SIGKILL)


WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
FOLDER = os.path.abspath("runs")
sys.addaudithook(kill_at_a_change)
kill_by_the_clock()
'''

SCENARIOS = {
    "arrays": """
model = compiled(dense(layers.Dropout(0.3)), keras.optimizers.Adam(0.01))
early = keras.callbacks.EarlyStopping("val_loss", patience=2, min_delta=0.01, restore_best_weights=True)
plateau = keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=1, min_delta=0.05)
history = model.fit(x, y, batch_size=8, epochs=6, validation_data=(x_val, y_val), verbose=0,
                    callbacks=[early, plateau, Slow(), archived()])
told(model, [history], stopped=early.stopped_epoch, best=early.best, wait=[early.wait, plateau.wait])
""",
    "tf_data_repeated": """
import tensorflow as tf

def noisy(a, b):
    return a + tf.random.normal(tf.shape(a), stddev=0.1), b
data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(60, seed=3).map(noisy).batch(8).repeat()
model = compiled(dense(layers.Dropout(0.3)))
history = model.fit(data, epochs=4, steps_per_epoch=5, verbose=0, callbacks=[Slow(), archived()])
told(model, [history])
""",
    "tf_data_finite": """
import tensorflow as tf

data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(60, reshuffle_each_iteration=True).batch(8)
model = compiled(dense(layers.GaussianNoise(0.2)))
history = model.fit(data, epochs=4, validation_data=(x_val, y_val), verbose=0, callbacks=[Slow(), archived()])
told(model, [history])
""",
    "array_batches": """
data = archiver.data.array_batches(x, y, batch_size=8, seed=9)
model = compiled(dense(layers.Dropout(0.3)))
history = model.fit(data, epochs=4, shuffle=False, validation_data=(x_val, y_val), verbose=0,
                    callbacks=[Slow(), archived()])
told(model, [history])
""",
    "pydataset": """
class Noisy(keras.utils.PyDataset):
    def __init__(self):
        super().__init__()
        self.generator = np.random.default_rng(2)
        self.order = np.arange(60)

    def __len__(self):
        return 7

    def __getitem__(self, index):
        rows = self.order[index * 8 : index * 8 + 8]
        return x[rows] + self.generator.normal(size=(len(rows), 6)).astype("float32"), y[rows]

    def on_epoch_end(self):
        self.generator.shuffle(self.order)

model = compiled(dense(layers.Dropout(0.3)))
history = model.fit(Noisy(), epochs=4, validation_data=(x_val, y_val), verbose=0, callbacks=[Slow(), archived()])
told(model, [history])
""",
    "validation_that_draws": """
class Drawn(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        rows = np.random.permutation(20)[:8]
        return x_val[rows] + np.float32(random.random()), y_val[rows]

model = compiled(dense(layers.Dropout(0.3)))
history = model.fit(x, y, batch_size=8, epochs=4, validation_data=Drawn(), verbose=0, callbacks=[Slow(), archived()])
told(model, [history])
""",
    "generator": """
def batches():
    own = np.random.default_rng(4)
    while True:
        rows = own.integers(0, 60, 8)
        yield x[rows] + own.normal(size=(8, 6)).astype("float32"), y[rows]

model = compiled(dense(layers.Dropout(0.3)))
history = model.fit(batches(), epochs=4, steps_per_epoch=6, verbose=0, callbacks=[Slow(), archived()])
told(model, [history])
""",
    "momentum_and_averages": """
rate = keras.optimizers.schedules.CosineDecay(0.05, 30)
optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, use_ema=True, ema_momentum=0.9,
                                 ema_overwrite_frequency=10, global_clipnorm=1.0)
model = compiled(dense(layers.BatchNormalization()), optimizer)
history = model.fit(x, y, batch_size=8, epochs=5, validation_split=0.2, verbose=0, callbacks=[Slow(), archived()])
told(model, [history])
""",
    "mixed_precision": """
keras.mixed_precision.set_global_policy("mixed_float16")
optimizer = keras.mixed_precision.LossScaleOptimizer(keras.optimizers.Adam(0.01), dynamic_growth_steps=7)
model = compiled(dense(layers.Dropout(0.2)), optimizer)
history = model.fit(x, y, batch_size=8, epochs=4, verbose=0, callbacks=[Slow(), archived()])
told(model, [history])
""",
    "augmentation": """
images = generator.normal(size=(24, 8, 8, 1)).astype("float32")
PREDICTED = images[:4]
OPTIONS["predict"] = False
model = compiled(keras.Sequential([
    keras.Input((8, 8, 1)), layers.RandomFlip(), layers.RandomRotation(0.2), layers.Conv2D(3, 3), layers.Flatten(),
    layers.BatchNormalization(), layers.Dense(2)]))
history = model.fit(images, y[:24], batch_size=4, epochs=3, verbose=0, callbacks=[Slow(), archived()])
told(model, [history])
""",
    "lstm": """
series = generator.normal(size=(24, 5, 3)).astype("float32")
PREDICTED = series[:4]
OPTIONS["predict"] = False
model = compiled(keras.Sequential([
    keras.Input((5, 3)), layers.LSTM(4, dropout=0.2, recurrent_dropout=0.3), layers.Dense(2)]))
history = model.fit(series, y[:24], batch_size=4, epochs=3, verbose=0, callbacks=[Slow(), archived()])
told(model, [history])
""",
    "several_steps_per_execution": """
model = compiled(dense(layers.Dropout(0.3)), steps_per_execution=2, jit_compile=False)
history = model.fit(x, y, batch_size=8, epochs=4, validation_data=(x_val, y_val), verbose=0,
                    callbacks=[Slow(), archived()])
told(model, [history])
""",
    "jit_compile": """
model = compiled(dense(layers.Dropout(0.3)), jit_compile=True)
history = model.fit(x, y, batch_size=10, epochs=4, verbose=0, callbacks=[Slow(), archived()])
told(model, [history])
""",
    "unbuilt": """
model = keras.Sequential([layers.Dense(8, activation="relu"), layers.Dropout(0.3), layers.Dense(2)])
compiled(model)
history = model.fit(x, y, batch_size=8, epochs=4, verbose=0, callbacks=[Slow(), archived()])
told(model, [history])
""",
    "two_phases": """
base = layers.Dense(8, activation="relu", name="base")
model = keras.Sequential([keras.Input((6,)), base, layers.Dropout(0.3), layers.Dense(2)])
base.trainable = False
archive = archived()
first = compiled(model).fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[Slow(), archive])
between = weights_digest(model.weights)
base.trainable = True
compiled(model, keras.optimizers.SGD(0.01, momentum=0.9))
second = model.fit(x, y, batch_size=8, epochs=3, validation_data=(x_val, y_val), verbose=0, callbacks=[Slow(), archive])
archive.finalize(test_data=(x_val, y_val))
told(model, [first, second])
""",
    "callbacks": '''
class Counting(keras.callbacks.Callback):
    """One that says itself what it keeps."""

    def __init__(self):
        super().__init__()
        self.inner = type("Inner", (), {"count": 0})()

    def on_epoch_begin(self, epoch, logs=None):
        self.inner.count += 100

    def on_train_batch_end(self, batch, logs=None):
        self.inner.count += 1

    def get_archive_state(self):
        return {"count": self.inner.count}

    def set_archive_state(self, state):
        self.inner.count = state["count"]


counting = Counting()
seen = []
rate = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9)
best = keras.callbacks.ModelCheckpoint("best.keras", monitor="loss", save_best_only=True)
optimizer = keras.optimizers.Adam(0.02, use_ema=True, ema_momentum=0.8)
model = compiled(dense(layers.Dropout(0.3)), optimizer)
history = model.fit(x, y, batch_size=8, epochs=4, validation_data=(x_val, y_val), verbose=0, callbacks=[
    keras.callbacks.CSVLogger("log.csv"), rate, best, counting, keras.callbacks.SwapEMAWeights(),
    keras.callbacks.BackupAndRestore("backup"), Slow(), archived()])
told(model, [history], count=counting.inner.count, best=best.best, log=open("log.csv").read())
''',
}
"""By name: what is trained, after `COMMON`."""

SCENARIOS["pydataset_with_own_state"] = SCENARIOS["pydataset"].replace(
    "    def on_epoch_end(self):",
    """    def get_archive_state(self):
        return {"generator": self.generator, "order": self.order}

    def set_archive_state(self, state):
        self.__dict__.update(state)

    def on_epoch_end(self):""",
)
SCENARIOS["pydataset_that_hides_its_state"] = SCENARIOS["pydataset"].replace(
    "        self.order = np.arange(60)", "        self.order = np.arange(60)\n        self.lock = threading.Lock()"
)

SCENARIOS["pydataset_that_draws"] = """
class Drawn(keras.utils.PyDataset):
    def __len__(self):
        return 6

    def __getitem__(self, index):
        rows = np.random.permutation(60)[:8]
        return x[rows] + np.float32(random.random()), y[rows]

model = compiled(dense(layers.Dropout(0.3)))
history = model.fit(Drawn(), epochs=4, validation_data=(x_val, y_val), verbose=0, callbacks=[Slow(), archived()])
told(model, [history])
"""
