"""An archive as a run of MLflow, so that a team keeps its tracking server and its pages.

The seal id is the tag `archiver.seal_id`, set when all else is there: an archive that is exported again is found by it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archiver import layout
from archiver.archive.run import Run
from archiver.archive.verifying import require_whole
from archiver.collect.redaction import redact_text
from archiver.errors import ArchiverError, MissingExtraError, RunStateError, StorageError
from archiver.export.mlflow_values import Value, epoch_metrics, final_metrics, milliseconds, parameters, tags
from archiver.export.output import folder_name

if TYPE_CHECKING:
    from mlflow import MlflowClient

SEAL_TAG = "archiver.seal_id"
STATUS = {"complete": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
"""MLflow's word for that of the archive."""

MAXIMAL_METRICS_AT_ONCE = 1000
MAXIMAL_PARAMETERS_AT_ONCE = 100
MAXIMAL_REASON_CHARACTERS = 1000

_INSTALL = 'pip install "keras-archiver[mlflow]"'


@dataclass(frozen=True)
class MlflowExport:
    """Where the run is in MLflow."""

    run_id: str
    experiment_id: str
    experiment: str
    store: str
    """The address of the tracking store, without passwords."""
    is_new: bool
    """False: this seal had been exported there before, and nothing was written."""


def export_mlflow(
    run: Run, *, tracking_uri: str | None = None, experiment: str | None = None, with_artifacts: bool = True
) -> MlflowExport:
    """Log a sealed archive as a run of MLflow: parameters, metrics of every epoch, test metrics, tags, files.

    Args:
        run: the archive.
        tracking_uri: of the tracking store: `http://...`, `sqlite:///...`; None: as MLflow's settings say.
        experiment: its name, made where there is none; None: the condition of the run, else its name.
        with_artifacts: whether the files of the archive go there, too.

    Raises:
        RunStateError: the archive is not sealed or not whole, or the experiment was deleted.
        MissingExtraError: MLflow is not installed.
        StorageError: the tracking store refused; the run that was begun there is deleted.
    """
    require_whole(run)
    with _told(tracking_uri):
        client = _client(tracking_uri)
        store = redact_text(str(client.tracking_uri))
        name = experiment or _default_experiment(run)
        experiment_id = _experiment_id(client, name)
        known = client.search_runs([experiment_id], f"tags.`{SEAL_TAG}` = '{run.seal_id}'", max_results=1)
        if known:
            return MlflowExport(known[0].info.run_id, experiment_id, name, store, is_new=False)
        run_id = _log(client, run, experiment_id, with_artifacts=with_artifacts)
    return MlflowExport(run_id, experiment_id, name, store, is_new=True)


@contextlib.contextmanager
def _told(tracking_uri: str | None) -> Iterator[None]:
    """Turn what MLflow raises, or the driver of a database below it, into an error of ours."""
    try:
        import mlflow  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"an export to MLflow needs {error.name}, which is not installed: {_INSTALL}"
        ) from error
    try:
        yield
    except ArchiverError:
        raise
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"this tracking store needs {error.name}, which is not installed.") from error
    except Exception as error:
        where = redact_text(tracking_uri) if tracking_uri else "as MLflow's settings have it"
        reason = redact_text(str(error)).strip()[:MAXIMAL_REASON_CHARACTERS]
        raise StorageError(f"the tracking store ({where}) refused: {type(error).__name__}: {reason}") from error


def _client(tracking_uri: str | None) -> MlflowClient:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=tracking_uri)


def _default_experiment(run: Run) -> str:
    name = run.read(layout.RUN).name
    return name.condition or name.original


def _experiment_id(client: MlflowClient, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        return str(client.create_experiment(name))
    if found.lifecycle_stage != "active":
        raise RunStateError(f"the experiment {name!r} was deleted in MLflow; restore it, or name another one.")
    return str(found.experiment_id)


def _log(client: MlflowClient, run: Run, experiment_id: str, *, with_artifacts: bool) -> str:
    results = run.read(layout.RESULTS)
    started = milliseconds(results.started)
    made = client.create_run(experiment_id, start_time=started, tags=tags(run), run_name=run.name)
    run_id = str(made.info.run_id)
    try:
        _log_values(client, run_id, run)
        if with_artifacts:
            client.log_artifacts(run_id, str(run.path), artifact_path=folder_name(run))
        client.set_tag(run_id, SEAL_TAG, str(run.seal_id))
        client.set_terminated(run_id, STATUS.get(results.status, "KILLED"), milliseconds(results.ended))
    except BaseException:
        with contextlib.suppress(Exception):
            client.delete_run(run_id)
        raise
    return run_id


def _log_values(client: MlflowClient, run_id: str, run: Run) -> None:
    from mlflow.entities import Metric, Param

    params = [Param(name, text) for name, text in parameters(run).items()]
    for batch in _batches(params, MAXIMAL_PARAMETERS_AT_ONCE):
        client.log_batch(run_id, params=batch)
    values: list[Value] = [*epoch_metrics(run), *final_metrics(run)]
    metrics = [Metric(each.name, each.value, each.timestamp_ms, each.step) for each in values]
    for batch in _batches(metrics, MAXIMAL_METRICS_AT_ONCE):
        client.log_batch(run_id, metrics=batch)


def _batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
