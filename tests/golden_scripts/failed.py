"""A training that fails in its second epoch."""

import keras
from common import ROOT, arrays, make_model

import archiver


class Failing(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        if epoch == 1:
            raise RuntimeError("made to fail")


archiver.seed(3)
archive = archiver.RunArchiver(ROOT, name="failed")
make_model().fit(*arrays(64, 0), epochs=3, verbose=0, callbacks=[archive, Failing()])
