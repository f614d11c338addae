"""A training that is killed in its third epoch; `archiver finalize` seals it."""

import os
import signal
import time

import keras
from common import ROOT, arrays, make_model

import archiver


class Killing(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        if epoch == 2:
            time.sleep(2)  # the snapshot of the epoch before is on the disk
            os.kill(os.getpid(), signal.SIGKILL)


archiver.seed(4)
archive = archiver.RunArchiver(ROOT, name="killed")
make_model().fit(*arrays(64, 0), epochs=4, verbose=0, callbacks=[archive, Killing()])
