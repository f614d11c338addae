"""Batches for Keras over windows on disk, at about the speed of arrays in memory, in about one percent of it.

`window_file` and `writing`: windows of a fixed size in one uncompressed file, which any window is read from with one
system call. `joining`: several sources as one. `splits`: which windows are for training, validation and test, so that
no subject is in two of them. `feed`: which windows a batch holds, and the arrays it is made of; it needs no Keras.
`batches`: the same as a data set of Keras, by `py_dataset` for every backend and by `pipeline` as tf.data.
"""
