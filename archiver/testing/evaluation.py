"""What a tiny run says of its test data: made-up predictions, really scored."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver import layout
from archiver.records.base import Unavailable, utc_now
from archiver.records.results import PredictionsPart, TestArrayPart, TestResults
from archiver.records.scores import TestScores
from archiver.scoring.hints import Hints
from archiver.scoring.metrics import scikit_learn_version
from archiver.scoring.scores import Details, Headline, score_output
from archiver.storage.digests import sha256_of
from archiver.testing.numbers import CLASSES, SAMPLES, numbers_from
from archiver.testing.records import CLASS_NAMES, split_arrays

OUTPUT = "dense_1"


def made_up_results(name: str, weights_digest: str) -> tuple[TestResults, TestScores | None, dict[str, NDArray[Any]]]:
    """The results on the test data, the tables of their scores, and what is stored beside them.

    Without scikit-learn there are no scores.
    """
    headline, details = _scores()
    arrays = _arrays()
    results = TestResults(
        evaluated=utc_now(),
        weights_digest=weights_digest,
        sample_count=SAMPLES,
        metrics={"accuracy": 0.75, "loss": 0.5},
        scores={OUTPUT: headline},
        scores_file=None if isinstance(details, Unavailable) else layout.TEST_SCORES.path(name),
        predictions=(_predictions(arrays),),
        predictions_file=layout.PREDICTIONS.path(name),
    )
    if isinstance(details, Unavailable):
        return results, None, arrays
    tables = TestScores(weights_digest=weights_digest, scikit_learn=scikit_learn_version(), outputs={OUTPUT: details})
    return results, tables, arrays


def _arrays() -> dict[str, NDArray[Any]]:
    rows = numbers_from("predictions").random((SAMPLES, CLASSES), dtype=np.float32)
    return {"output": rows / rows.sum(axis=1, keepdims=True), "target": split_arrays("test")[1]}


@functools.cache
def _scores() -> tuple[Headline, Details]:
    arrays = _arrays()
    hints = Hints("sparse_categorical_crossentropy", from_logits=False, activation="softmax", class_names=CLASS_NAMES)
    return score_output(arrays["target"], arrays["output"], None, hints)


def _predictions(arrays: dict[str, NDArray[Any]]) -> PredictionsPart:
    output, target = arrays["output"], arrays["target"]
    return PredictionsPart(
        output="output",
        name=OUTPUT,
        shape=output.shape,
        dtype=output.dtype.name,
        sha256=sha256_of(output.tobytes()),
        stored_count=SAMPLES,
        target=TestArrayPart(
            array="target", shape=target.shape, dtype=target.dtype.name, sha256=sha256_of(target.tobytes())
        ),
        sample_weight=Unavailable(unavailable="no sample weights were given"),
    )
