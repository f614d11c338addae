"""Memory is used again when nobody has it, and never before."""

import threading

import numpy as np
import tensorflow as tf

from archiver.data.buffers import ALIGNMENT_BYTES, Buffers

SHAPE, FLOAT = (32, 20, 100), np.dtype(np.float32)


def test_memory_is_used_again_once_nobody_has_it():
    buffers = Buffers()
    first = buffers.array(SHAPE, FLOAT)
    place, first[:] = first.ctypes.data, 7
    assert place % ALIGNMENT_BYTES == 0
    kept = first[3:5, ::2].transpose()
    del first
    second = buffers.array(SHAPE, FLOAT)
    assert not np.shares_memory(kept, second)
    second[:] = 8
    assert (kept == 7).all()
    del kept
    assert buffers.array(SHAPE, FLOAT).ctypes.data == place


def test_tensors_hold_their_memory():
    buffers = Buffers()

    def filled(number):
        array = buffers.array(SHAPE, FLOAT)
        array[:] = number
        return array

    dataset = tf.data.Dataset.range(40).map(
        lambda number: tf.numpy_function(filled, [number], tf.float32), num_parallel_calls=4
    )
    held = list(dataset.prefetch(4))
    for number, tensor in enumerate(held):
        assert (tensor.numpy() == number).all()


def test_many_threads():
    buffers, wrong = Buffers(1 << 20), []

    def work(number):
        for _ in range(200):
            array = buffers.array(SHAPE, FLOAT)
            array[:] = number
            other = buffers.array((40_000,), FLOAT)
            other[:] = -number
            if not ((array == number).all() and (other == -number).all()):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_is_kept_is_bounded():
    buffers = Buffers(3 << 20)
    held = [buffers.array((1 << 18,), FLOAT) for _ in range(10)]
    assert len({array.ctypes.data for array in held}) == 10
    assert sum(owner.nbytes for owner in buffers._owners) <= 3 << 20
    assert buffers.array((1 << 20,), FLOAT).base is None, "larger than all that is kept"
    assert buffers.array((3,), FLOAT).shape == (3,)
