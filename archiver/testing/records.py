"""What a tiny run says of its environment, its configuration and its data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver import layout
from archiver.archive.run import Run
from archiver.collect.command import collect_command
from archiver.collect.splits import DescribedSplit, describe_arrays
from archiver.collect.splits import dataset_stats as stats_of
from archiver.collect.system import collect_system
from archiver.records.base import Unavailable, local_offset_seconds, utc_now
from archiver.records.dataset import DatasetStats
from archiver.records.environment import GitRecord, PackagePart, PackagesRecord
from archiver.records.journal import ProcessIdentity
from archiver.records.model import FlopsPart, LayerPart, ModelConfig, ParameterCounts
from archiver.records.run import RunNamePart, RunRecord
from archiver.records.source import SourceFilePart, SourceRecord
from archiver.records.training import (
    ClippingPart,
    DtypePoliciesPart,
    JitPart,
    LossPart,
    MetricPart,
    OptimizerConfig,
    OptimizerVariablesPart,
    PhaseConfig,
    PhaseOptimizer,
    Preprocessing,
    TrainConfig,
    ValidationPart,
)
from archiver.storage import files
from archiver.storage.digests import sha256_of
from archiver.testing.framework import determinism_part, framework_part
from archiver.testing.numbers import (
    BATCH_SIZE,
    CLASSES,
    FEATURES,
    KERAS_VERSION,
    MODEL_NAME,
    SAMPLES,
    SHAPES,
    numbers_from,
)
from archiver.version import __version__

SOURCE_CODE = b"import keras\n\nprint('made up by archiver.testing')\n"
CLASS_NAMES = ("even", "odd")
NOTES = "made up by archiver.testing\n"


def write_environment(run: Run, version: int, process: ProcessIdentity) -> None:
    """Write what identifies the run: the machine is the one we are on, all else is made up."""
    now = utc_now()
    run.write(
        layout.RUN,
        RunRecord(
            name=RunNamePart(name=run.name, original=run.name, version=version),
            created=now,
            local_offset_seconds=local_offset_seconds(),
            archiver_version=__version__,
            process=process,
            command=collect_command(),
            tags=("tiny",),
            notes=NOTES.strip(),
            formats=tuple(layout.MODEL_FORMATS),
            monitor="val_loss",
        ),
    )
    run.write(layout.SYSTEM, collect_system(run.path, framework_part()))
    package = PackagePart(
        name="keras",
        version=KERAS_VERSION,
        location="~/site-packages",
        installer="pip",
        requested=True,
        editable=False,
        direct_url=None,
        tags=("py3-none-any",),
        record_sha256=sha256_of(b"keras"),
        file_count=1,
    )
    run.write(layout.PACKAGES, PackagesRecord(collected=now, packages={"keras": package}))
    no_repository = Unavailable(unavailable="made up by archiver.testing")
    run.write(layout.GIT, GitRecord(collected=now, git_version=no_repository, repository=no_repository))
    entry = layout.SOURCE_FILES.pattern.replace("*", "train.py")
    files.write_bytes(run.path / entry, SOURCE_CODE)
    source = SourceFilePart(
        path=entry,
        original_path="train.py",
        role="entry",
        size_bytes=len(SOURCE_CODE),
        sha256=sha256_of(SOURCE_CODE),
    )
    record = SourceRecord(
        collected=now,
        root="~",
        entry=entry,
        files=(source,),
        total_bytes=len(SOURCE_CODE),
        left_out=(),
        left_out_count=0,
    )
    run.write(layout.SOURCE, record)


def write_configs(run: Run, phase: int, epochs: int) -> None:
    """Write the configurations, with one more phase, and the description of the data."""
    train = run.read_if_there(layout.TRAIN_CONFIG)
    optimizer = run.read_if_there(layout.OPTIMIZER_CONFIG)
    run.write(layout.MODEL_CONFIG, _model_config())
    run.write(
        layout.TRAIN_CONFIG,
        TrainConfig(phases=(*(train.phases if train else ()), _phase_config(phase, epochs))),
    )
    run.write(
        layout.OPTIMIZER_CONFIG,
        OptimizerConfig(phases=(*(optimizer.phases if optimizer else ()), _phase_optimizer(phase))),
    )
    run.write(layout.PREPROCESSING, Preprocessing(description="none", layers=()))
    run.write(layout.DATASET_STATS, dataset_stats("train", "validation"))


def _phase_config(phase: int, epochs: int) -> PhaseConfig:
    return PhaseConfig(
        phase=phase,
        capture="frames",
        fit_arguments={"epochs": epochs, "batch_size": BATCH_SIZE},
        resolved_arguments={"epochs": epochs, "batch_size": BATCH_SIZE, "shuffle": True},
        batch_size=BATCH_SIZE,
        epochs=epochs,
        initial_epoch=0,
        steps_per_epoch=SAMPLES // BATCH_SIZE,
        shuffle=True,
        sample_weight_given=False,
        validation=ValidationPart(source="validation_data", batch_size=BATCH_SIZE, steps=SAMPLES // BATCH_SIZE),
        loss=_LOSS,
        losses=(LossPart(output=_LOSS, class_name=f"{_LOSSES}.LossFunctionWrapper", config={}, weight=None),),
        metrics=["accuracy"],
        resolved_metrics=(_accuracy(),),
        jit_compile=JitPart(resolved=False, given=_NOT_KEPT.model_dump(), reason="made up by archiver.testing"),
        run_eagerly=False,
        steps_per_execution=1,
        auto_scale_loss=_NOT_KEPT,
        dtype_policies=DtypePoliciesPart(model="float32", keras_global="float32", mixed_precision=False),
        distribution=None,
        callbacks=(),
        seed=Unavailable(unavailable="archiver.seed was not called before fit"),
        determinism=determinism_part(),
    )


_LOSS = "sparse_categorical_crossentropy"
_LOSSES = "keras.src.losses.losses"
_NOT_KEPT = Unavailable(unavailable="made up by archiver.testing")


def _accuracy() -> MetricPart:
    return MetricPart(
        name="accuracy",
        class_name="keras.src.metrics.accuracy_metrics.SparseCategoricalAccuracy",
        config={"name": "accuracy"},
        output=None,
        weighted=False,
    )


def _phase_optimizer(phase: int) -> PhaseOptimizer:
    return PhaseOptimizer(
        phase=phase,
        class_name="keras.src.optimizers.sgd.SGD",
        name="SGD",
        config={"name": "SGD", "learning_rate": 0.01},
        learning_rate=0.01,
        schedule=None,
        iterations=0,
        weight_decay=None,
        gradient_clipping=ClippingPart(clipnorm=None, clipvalue=None, global_clipnorm=None),
        moving_average=None,
        gradient_accumulation_steps=None,
        loss_scale_factor=None,
        loss_scaling=None,
        variables=OptimizerVariablesPart(count=2, bytes=12),
    )


def _model_config() -> ModelConfig:
    layers = (_layer("dense"), _layer("dropout"), _layer("dense_1"))
    total = sum(layer.parameters.total for layer in layers)
    flops = sum(layer.flops_per_sample for layer in layers if isinstance(layer.flops_per_sample, int))
    return ModelConfig(
        name=MODEL_NAME,
        class_name="keras.src.models.sequential.Sequential",
        parameters=ParameterCounts(total=total, trainable=total, non_trainable=0),
        weights_bytes=4 * total,
        input_shape=[None, FEATURES],
        output_shape=[None, CLASSES],
        flops=FlopsPart(per_sample=flops, method="analytic: made up by archiver.testing"),
        layer_count=len(layers),
        dtype_policy="float32",
        built=True,
        summary=f"{MODEL_NAME}: {total} parameters",
        layers=layers,
        config=keras_config(),
    )


def _layer(name: str) -> LayerPart:
    shapes = SHAPES.get(name, {})
    count = sum(math.prod(shape) for shape in shapes.values())
    inputs, outputs = shapes["kernel"] if shapes else SHAPES["dense"]["bias"] * 2
    return LayerPart(
        name=name,
        class_name="keras.src.layers.core.dense.Dense" if shapes else "keras.src.layers.regularization.dropout.Dropout",
        depth=0,
        input_shape=[None, inputs],
        output_shape=[None, outputs],
        parameters=ParameterCounts(total=count, trainable=count, non_trainable=0),
        flops_per_sample=_flops(name, inputs, outputs) if shapes else 0,
        trainable=True,
        dtype_policy="float32",
        config={"name": name, "units": outputs} if shapes else {"name": name, "rate": 0.5},
    )


def _flops(name: str, inputs: int, outputs: int) -> int:
    """Of a dense layer: products, bias, and the activation, which is a softmax in the last one."""
    return 2 * inputs * outputs + outputs + outputs * (5 if name == "dense_1" else 1)


def keras_config() -> dict[str, Any]:
    """What Keras needs to build the model."""

    def layer(class_name: str, **config: Any) -> dict[str, Any]:
        return {"module": "keras.layers", "class_name": class_name, "config": config, "registered_name": None}

    return {
        "module": "keras",
        "class_name": "Sequential",
        "registered_name": None,
        "config": {
            "name": MODEL_NAME,
            "layers": [
                layer("InputLayer", batch_shape=[None, FEATURES], dtype="float32", name="input"),
                layer("Dense", name="dense", units=SHAPES["dense"]["bias"][0], activation="relu"),
                layer("Dropout", name="dropout", rate=0.5),
                layer("Dense", name="dense_1", units=CLASSES, activation="softmax"),
            ],
        },
    }


def dataset_stats(*names: str) -> DatasetStats:
    """The record of equally large splits."""
    return stats_of({name: _split(name) for name in names}, CLASS_NAMES, None)


def split_arrays(name: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features and class numbers of a split."""
    numbers = numbers_from(name)
    return numbers.random((SAMPLES, FEATURES), dtype=np.float32), numbers.integers(0, CLASSES, SAMPLES)


def _split(name: str) -> DescribedSplit:
    x, y = split_arrays(name)
    return describe_arrays("arrays", "numpy.ndarray", (x, y, None), batch_size=None if name == "test" else BATCH_SIZE)
