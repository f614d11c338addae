"""A small real training, slowed down so that it can be watched: `python training.py ROOT EPOCHS SECONDS_A_BATCH`."""

import os
import sys
import time

import keras
import numpy as np

import archiver


class Slow(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        time.sleep(float(sys.argv[3]))


x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
y = (x.sum(axis=1) > 0).astype("float32")
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1, "sigmoid")])
model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
archive = archiver.RunArchiver(sys.argv[1], name="watched", figures=False)
print("arguments:", sys.argv[4:], "secret:", len(os.environ.get("SOME_TOKEN", "")))
model.fit(x, y, validation_data=(x, y), epochs=int(sys.argv[2]), batch_size=16, verbose=0, callbacks=[Slow(), archive])
