"""Two calls of fit with one callback: a run of two phases, with the seal of the first in its chain."""

from common import ROOT, arrays, make_model

import archiver

archiver.seed(2)
model = make_model()
archive = archiver.RunArchiver(ROOT, name="phases")
model.fit(*arrays(64, 0), epochs=2, verbose=0, callbacks=[archive])
model.layers[0].trainable = False
model.compile("sgd", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(*arrays(64, 3), epochs=2, verbose=0, callbacks=[archive])
