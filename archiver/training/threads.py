"""Threads: what was set, and what 0 comes to."""

from __future__ import annotations

import os
from typing import Any

from archiver.cores import usable_cores
from archiver.records.base import Unavailable
from archiver.records.determinism import ThreadsPart
from archiver.training.reading import known, whole


def tensorflow_threads(tf: Any) -> ThreadsPart:
    """TensorFlow's two pools. 0 means an environment variable, else one thread per usable core."""
    inter = known(tf.config.threading.get_inter_op_parallelism_threads)
    intra = known(tf.config.threading.get_intra_op_parallelism_threads)
    return ThreadsPart(
        inter_op=inter,
        intra_op=intra,
        inter_op_resolved=_resolved(inter, "TF_NUM_INTEROP_THREADS"),
        intra_op_resolved=_resolved(intra, "TF_NUM_INTRAOP_THREADS"),
        usable_cores=usable_cores(),
    )


def _resolved(value: Any, variable: str) -> int | Unavailable:
    if isinstance(value, Unavailable):
        return value
    return int(value) or whole(os.environ.get(variable)) or usable_cores()


def torch_threads(torch: Any) -> ThreadsPart:
    """torch's two pools; it tells resolved numbers only."""
    inter, intra = known(torch.get_num_interop_threads), known(torch.get_num_threads)
    return ThreadsPart(
        inter_op=inter, intra_op=intra, inter_op_resolved=inter, intra_op_resolved=intra, usable_cores=usable_cores()
    )


def jax_threads() -> ThreadsPart:
    """XLA's own pools, which nobody can ask."""
    unknown = Unavailable(unavailable="JAX does not tell; XLA chooses by the usable cores")
    return ThreadsPart(
        inter_op=unknown,
        intra_op=unknown,
        inter_op_resolved=unknown,
        intra_op_resolved=unknown,
        usable_cores=usable_cores(),
    )
