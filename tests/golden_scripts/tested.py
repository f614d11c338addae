"""A complete run with validation, best weights, something logged, a file added, and test results."""

from common import ROOT, arrays, make_model

import archiver

archiver.seed(1)
train = archiver.data.array_batches(*arrays(96, 0), batch_size=16, seed=1)
archive = archiver.RunArchiver(ROOT, condition="tested", architecture="cnn", config="base", tags=["golden"])
make_model().fit(train, validation_data=arrays(32, 1), epochs=4, shuffle=False, verbose=0, callbacks=[archive])
archive.log("answer", 42)
archive.add_file(__file__)
archive.finalize(test_data=arrays(40, 2), class_names=["low", "middle", "high"])
