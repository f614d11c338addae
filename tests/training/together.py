"""Programs that train in two processes on this machine, as they are started: `together.py BACKEND INDEX PORT`.

Each is what docs/workers.md shows, and a little more.
"""

import json
import os
import sys

COUNT = 2
OPTIONS = {"figures": False, "formats": ("weights.h5",), "sampling_hertz": 5}


def data():
    import numpy as np

    x = np.random.default_rng(0).random((32, 4)).astype("float32")
    return x, x[:, :1]


def layers():
    import keras

    keras.utils.set_random_seed(1)
    return [keras.layers.Input((4,)), keras.layers.Dense(3, "relu"), keras.layers.Dense(1)]


def on_torch(index, port):
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "RANK": str(index), "WORLD_SIZE": str(COUNT)}
    import keras
    import torch
    import torch.distributed

    import archiver

    torch.distributed.init_process_group("gloo")

    class Synchronised(keras.Sequential):
        """Adds up the gradients of all processes."""

        is_synchronised = True
        dies = False

        def train_step(self, data):
            x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
            self.zero_grad()
            loss = self.compute_loss(x, y, self(x, training=True), weights)
            loss.backward()
            if self.dies:
                os._exit(9)
            gradients = [variable.value.grad for variable in self.trainable_weights]
            for gradient in gradients if self.is_synchronised else ():
                torch.distributed.all_reduce(gradient)
                gradient /= COUNT
            with torch.no_grad():
                self.optimizer.apply(gradients, self.trainable_weights)
            self._loss_tracker.update_state(loss)
            return self.get_metrics_result()

    x, y = data()

    def train(name, archive=None, **settings):
        model = Synchronised(layers())
        vars(model).update(settings)
        model.compile("adam", loss="mse")
        archive = archiver.RunArchiver("runs", name=name, **OPTIONS)
        part = x[index::COUNT], y[index::COUNT]
        model.fit(*part, epochs=2, batch_size=8, verbose=0, callbacks=[archive])
        return model, archive, part

    model, archive, part = train("agree")
    model.fit(*part, batch_size=8, verbose=0, callbacks=[archive])  # a second phase
    run = archive.finalize(test_data=(x[:4], y[:4]))
    assert run.path == archive.run.path
    assert run.path.name == "agree_models"
    train("differ", is_synchronised=False)
    try:
        archiver.fit(archiver.RunArchiver("runs", name="resumed", resume=True), model, *part, verbose=0)
    except archiver.errors.RunStateError as error:
        print("refused:", error)
    train("lost", dies=index == 1)


def on_jax(index, port):
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"127.0.0.1:{port}", COUNT, index)
    import keras
    import tensorflow as tf

    import archiver

    keras.distribution.set_distribution(keras.distribution.DataParallel())
    model = keras.Sequential(layers())
    model.compile("adam", loss="mse")
    archive = archiver.RunArchiver("runs", name="agree", **OPTIONS)
    batches = tf.data.Dataset.from_tensor_slices(data()).batch(8).repeat()  # Keras shares it out
    model.fit(batches, steps_per_epoch=4, epochs=2, verbose=0, shuffle=False, callbacks=[archive])
    try:
        archive.finalize(test_data=data())
    except archiver.errors.RunStateError as error:
        print("refused:", error)
    archive.finalize()


def on_tensorflow(index, port):
    workers = [f"127.0.0.1:{int(port) + each}" for each in range(COUNT)]
    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})
    import tensorflow as tf

    strategy = tf.distribute.MultiWorkerMirroredStrategy()  # before anything of TensorFlow runs
    import keras

    import archiver

    with strategy.scope():
        model = keras.Sequential(layers())
        model.compile("adam", loss="mse")
        model.optimizer.build(model.trainable_variables)
    archive = archiver.RunArchiver("runs", name="agree", **OPTIONS)
    for attempt in (
        lambda: archiver.fit(archive, model, *data(), verbose=0),
        lambda: model.fit(*data(), verbose=0, callbacks=[archive]),
    ):
        try:
            attempt()
        except (archiver.errors.RunStateError, ValueError) as error:
            print(f"refused: {type(error).__name__}: {str(error)[:400]}")
    assert not os.path.exists("runs")

    @tf.function
    def step(batch):
        def of_one(x, y):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum((model(x, training=True) - y) ** 2) / 8
            model.optimizer.apply(
                tf.distribute.get_replica_context().all_reduce("sum", tape.gradient(loss, model.trainable_variables)),
                model.trainable_variables,
            )
            return loss

        return strategy.reduce("sum", strategy.run(of_one, args=batch), axis=None)

    batches = strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensor_slices(data()).batch(8))
    callbacks = keras.callbacks.CallbackList([archive], model=model, epochs=2, steps=4, verbose=0)
    callbacks.on_train_begin()
    for epoch in range(2):
        callbacks.on_epoch_begin(epoch)
        for number, batch in enumerate(batches):
            callbacks.on_train_batch_begin(number)
            loss = float(step(batch))
            callbacks.on_train_batch_end(number, {"loss": loss})
        callbacks.on_epoch_end(epoch, {"loss": loss})
    callbacks.on_train_end()
    archive.finalize()


if __name__ == "__main__":
    backend, number, port = sys.argv[1:]
    os.environ["KERAS_BACKEND"] = backend
    {"torch": on_torch, "jax": on_jax, "tensorflow": on_tensorflow}[backend](int(number), port)
