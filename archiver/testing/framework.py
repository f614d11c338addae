"""What a tiny run says of Keras, TensorFlow and of what decided its bits: made up, since neither is loaded."""

from __future__ import annotations

from archiver.records.base import Unavailable
from archiver.records.determinism import DeterminismPart, OnednnPart, SeedsPart, ThreadsPart, XlaPart
from archiver.records.framework import FrameworkDevicePart, FrameworkPart, KerasPart, TensorflowPart
from archiver.testing.numbers import KERAS_VERSION

_NOT_READ = Unavailable(unavailable="made up by archiver.testing")
_THREADS = ThreadsPart(inter_op=0, intra_op=0, inter_op_resolved=2, intra_op_resolved=2, usable_cores=2)
_XLA = XlaPart(built_with=True, auto_clustering="", flags=None)
_ONEDNN = OnednnPart(enabled=True, variable=None)


def framework_part() -> FrameworkPart:
    """Keras on TensorFlow, on a machine without a GPU."""
    return FrameworkPart(
        keras_version=KERAS_VERSION,
        backend="tensorflow",
        keras=_keras(),
        tensorflow=_tensorflow(),
        jax=None,
        torch=None,
        loaded={"tensorflow": "2.21.0"},
    )


def _keras() -> KerasPart:
    return KerasPart(
        version=KERAS_VERSION,
        backend="tensorflow",
        dtype_policy="float32",
        floatx="float32",
        epsilon=1e-7,
        image_data_format="channels_last",
        nnx=False,
        flash_attention=None,
        maximal_epochs=None,
        maximal_steps_per_epoch=None,
        config_file=None,
    )


def _tensorflow() -> TensorflowPart:
    cpu = FrameworkDevicePart(
        name="/physical_device:CPU:0",
        type="CPU",
        visible=True,
        details={},
        memory_growth=Unavailable(unavailable="a setting of GPUs"),
        logical_devices=None,
    )
    return TensorflowPart(
        version="2.21.0",
        git_version=_NOT_READ,
        compiler=_NOT_READ,
        build={},
        compile_flags=[],
        devices=(cpu,),
        executing_eagerly=True,
        functions_run_eagerly=False,
        soft_device_placement=True,
        synchronous_execution=True,
        device_policy="silent",
        optimizer_options={},
        op_determinism=False,
        tensor_float_32=True,
        threads=_THREADS,
        xla=_XLA,
        onednn=_ONEDNN,
    )


def determinism_part() -> DeterminismPart:
    """Of a training that nobody seeded."""
    return DeterminismPart(
        sources_of_variation=("Nothing was seeded.",),
        seeds=SeedsPart(keras=None, tensorflow=None, torch=_NOT_READ, python_hash="random"),
        random_states={"keras": None},
        seed_generators=(),
        seed_generator_count=1,
        op_determinism=False,
        threads=_THREADS,
        onednn=_ONEDNN,
        xla=_XLA,
        tensor_float_32=True,
        matmul_precision=_NOT_READ,
        dtype_policy="float32",
        floatx="float32",
        epsilon=1e-7,
        denormals="kept",
        instruction_sets={},
        backend_flags={},
        devices={"CPU": 1},
        environment={},
    )
