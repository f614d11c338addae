"""However a training ends, its archive says so: processes that really die, and trainings that end early."""

from __future__ import annotations

import math
import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import archiver
from archiver import layout
from archiver.archive.claiming import unfinished_runs
from archiver.archive.run import Run
from archiver.naming import run_name
from archiver.storage.journal import events_named
from archiver.training.weights import weights_digest
from tests.training import scripts, small
from tests.training.scripts import Ended, Script, Server

KILLS = 40 if os.environ.get("ARCHIVER_STRESS") else 4


def run_of(ended: Ended, name: str = "run") -> Run:
    """The archive a script left; nothing in its journal is broken, and no step of archiving failed."""
    run = Run.open(ended.folder / "runs" / f"{name}_models")
    contents = run.journal.read()
    assert (contents.faults, contents.torn_bytes) == ((), 0)
    assert [event.details for event in events_named(contents, "step_failed")] == []
    return run


def assert_sealed(run: Run, logs: list[tuple[int, dict[str, float]]]) -> None:
    """Sealed and whole, with the history that Keras tells."""
    assert run.status.sealed
    assert archiver.verify(run.path, algorithm="all", deep=True).findings == ()
    assert history_of(run) == logs


def history_of(run: Run) -> list[tuple[int, dict[str, float]]]:
    """(epoch, metrics) of all phases."""
    return [
        (epoch, {name: column[row] for name, column in phase.metrics.items()})
        for phase in run.read(layout.HISTORY).phases
        for row, epoch in enumerate(phase.epochs)
    ]


def statuses(run: Run) -> list[str]:
    return [str(event.details["status"]) for event in events_named(run.journal.read(), "status")]


def status_event(run: Run) -> dict[str, Any]:
    return list(events_named(run.journal.read(), "status"))[-1].details


# Exceptions that leave fit and end the script


@dataclass(frozen=True)
class Failure:
    """A training that fails in its second epoch, unless `epochs` says otherwise."""

    name: str
    fit: str
    epochs: int | None = 1
    """Epochs that are over by then; None where batches are drawn ahead, so that it may be one more or less."""
    type: str = "LookupError"
    message: str = "planted"
    exit_code: int = 1


FAILURES = (
    Failure("batch_hook_of_one_before", "fit(At('on_train_batch_end', fail), archive)"),
    Failure("batch_hook_of_one_behind", "fit(archive, At('on_train_batch_begin', fail))"),
    Failure("epoch_end_of_one_before", "fit(At('on_epoch_end', fail), archive)"),
    Failure("epoch_end_of_one_behind", "fit(archive, At('on_epoch_end', fail))"),
    Failure("train_end_of_one_before", "fit(At('on_train_end', fail, epoch=3), archive)", epochs=4),
    Failure("train_end_of_one_behind", "fit(archive, At('on_train_end', fail, epoch=3))", epochs=4),
    Failure("train_begin_of_one_behind", "fit(archive, At('on_train_begin', fail, epoch=None))", epochs=0),
    Failure("hook_of_validation", "fit(archive, At('on_test_batch_end', fail), validation_data=(x, y))"),
    Failure("validation_data", "fit(archive, validation_data=Batches(fail_at=9))", None, "UnknownError", "a bad batch"),
    Failure(
        "validation_data_that_is_none", "fit(archive, validation_data=(object(), y))", 0, "ValueError", "Unrecognized"
    ),
    Failure("pydataset", "fit(archive, data=Batches(fail_at=9))", None, "UnknownError", "a bad batch"),
    Failure("generator", "fit(archive, data=generator(9), steps_per_epoch=4)", None, "UnknownError", "a bad batch"),
    Failure("exit_in_batch_hook", "fit(archive, At('on_train_batch_end', leave))", 1, "SystemExit", "3", exit_code=3),
    Failure("exit_in_epoch_end", "fit(At('on_epoch_end', leave), archive)", 1, "SystemExit", "3", exit_code=3),
)


def assert_failed(ended: Ended, failure: Failure) -> Run:
    assert ended.exit_code == failure.exit_code
    run = run_of(ended)
    assert statuses(run) == ["failed"]
    exception = run.status.exception
    assert exception is not None
    assert exception.type.rpartition(".")[2] == failure.type
    assert failure.message in exception.message
    assert str(exception.location).startswith("script.py:")
    kept = journal_logs(run)
    assert_sealed(run, kept)
    assert_epochs_kept(kept, ended)
    assert failure.epochs in (None, len(kept))
    assert kept or failure.epochs == 0
    assert run.read(layout.RESULTS).exception == exception
    return run


@pytest.mark.parametrize("failure", [pytest.param(each, id=each.name) for each in FAILURES])
def test_an_exception_ends_the_script(failure: Failure, server: Server, tmp_path: Path) -> None:
    run = assert_failed(server.run(tmp_path, failure.fit), failure)
    assert not run.has(layout.KERAS_MODEL), "what fit did not leave is not saved"


def test_an_interpreter_of_its_own_ends_no_other_way(tmp_path: Path) -> None:
    """The other scripts here run in forks; this one shows that they could do without."""
    failure = next(each for each in FAILURES if each.name == "batch_hook_of_one_before")
    ended = scripts.run_plain(tmp_path, failure.fit)
    assert_failed(ended, failure)
    assert ended.errors.rstrip().endswith("LookupError: planted")


# Signals

ENDLESS = "data=endless(), steps_per_epoch=10**9"
ENDLESS_VALIDATION = "validation_data=endless(), validation_steps=10**9, data=endless(), steps_per_epoch=4"


def interrupted_script(server: Server, folder: Path, fit: str, number: signal.Signals) -> Ended:
    script = server.start(folder, fit)
    script.wait_for("ready")
    time.sleep(0.05)
    script.send(number)
    return script.wait()


@pytest.mark.parametrize(
    ("fit", "epochs"),
    [
        pytest.param(f"fit(archive, At('on_train_batch_end', ready, epoch=0), {ENDLESS})", 0, id="mid_epoch"),
        pytest.param(
            f"fit(archive, At('on_test_batch_end', ready, epoch=0), {ENDLESS_VALIDATION})", 0, id="validation"
        ),
    ],
)
def test_ctrl_c(fit: str, epochs: int, server: Server, tmp_path: Path) -> None:
    ended = interrupted_script(server, tmp_path, fit, signal.SIGINT)
    assert ended.exit_code == -signal.SIGINT, "as Python ends on Ctrl-C"
    run = run_of(ended)
    assert statuses(run) == ["failed"]
    assert run.status.exception is not None
    assert run.status.exception.type == "KeyboardInterrupt"
    assert_sealed(run, ended.logs)
    assert len(ended.logs) == epochs


def test_sigterm(server: Server, tmp_path: Path) -> None:
    body = "fit(archive, At('on_train_batch_end', ready, epoch=1), epochs=10**6)"
    ended = interrupted_script(server, tmp_path, body, signal.SIGTERM)
    assert ended.exit_code == 128 + signal.SIGTERM
    run = run_of(ended)
    assert statuses(run) == ["failed"]
    assert run.status.exception is not None
    assert (run.status.exception.type, run.status.exception.message) == ("SystemExit", "terminated by SIGTERM")
    assert_sealed(run, ended.logs)
    assert ended.epochs_over[:1] == [0]


INTERRUPTED_WHILE_SAVING = """
signals = [signal.{signal}] * {times}

class Interrupting(keras.layers.Dense):
    def save_own_variables(self, store):
        if signals:
            os.kill(os.getpid(), signals.pop())
        super().save_own_variables(store)

model = keras.Sequential([keras.Input((4,)), Interrupting(1)])
model.compile("sgd", "mse")
archive = archiver.RunArchiver("runs", name="run", monitor={monitor})
other = archiver.RunArchiver("runs", name="other", formats=[], monitor=None)
fit({order})
"""
ENDS = {"SIGTERM": (128 + signal.SIGTERM, "SystemExit"), "SIGINT": (-signal.SIGINT, "KeyboardInterrupt")}


@pytest.mark.parametrize("name", list(ENDS))
def test_a_signal_while_the_best_weights_are_saved(name: str, server: Server, tmp_path: Path) -> None:
    """It waits until they are, and is not swallowed by whatever saves them."""
    ended = server.run(
        tmp_path, INTERRUPTED_WHILE_SAVING.format(signal=name, times=1, monitor="'loss'", order="archive")
    )
    exit_code, kind = ENDS[name]
    assert ended.exit_code == exit_code
    run = run_of(ended)
    assert statuses(run) == ["failed"]
    assert run.status.exception is not None
    assert run.status.exception.type == kind
    assert run.has(layout.BEST_WEIGHTS)
    assert_sealed(run, ended.logs)
    assert len(ended.logs) == 1


@pytest.mark.parametrize(
    ("order", "times", "expected"),
    [
        pytest.param("archive, other", 1, ("complete", "failed"), id="completed_first"),
        pytest.param("archive, other", 2, ("failed", "failed"), id="twice"),
        pytest.param("other, archive", 1, ("complete", "complete"), id="after_another_archive"),
    ],
)
def test_sigterm_while_the_model_is_saved(
    order: str, times: int, expected: tuple[str, str], server: Server, tmp_path: Path
) -> None:
    """The archive is completed first, unless it comes again; an archive that would have been next is not."""
    body = INTERRUPTED_WHILE_SAVING.format(signal="SIGTERM", times=times, monitor=None, order=order)
    ended = server.run(tmp_path, body)
    assert ended.exit_code == 128 + signal.SIGTERM
    run, other = run_of(ended), run_of(ended, "other")
    assert (statuses(run), statuses(other)) == ([expected[0]], [expected[1]])
    for each, status in zip((run, other), expected, strict=True):
        assert (each.status.exception is None) == (status == "complete")
        assert status == "complete" or each.status.exception.message == "terminated by SIGTERM"  # type: ignore[union-attr]
    for each in (run, other):
        assert_sealed(each, ended.logs)
    assert len(ended.logs) == 4


@pytest.fixture
def ordinary_signals() -> Iterator[list[Any]]:
    """The handlers that a script in the foreground begins with; in the background, a shell has Ctrl-C ignored."""
    ordinary = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    previous = {number: signal.signal(number, handler) for number, handler in ordinary.items()}
    yield list(ordinary.values())
    for number, handler in previous.items():
        signal.signal(number, handler)


def test_signals_are_as_before_after_fit(tmp_path: Path, ordinary_signals: list[Any]) -> None:
    def handlers() -> list[Any]:
        return [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]

    before: list[Any] = ordinary_signals
    seen: list[Any] = []
    watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: seen.extend(handlers()))
    archives = [archiver.RunArchiver(tmp_path, name=name) for name in ("a", "b")]
    small.model().fit(*small.arrays(), verbose=0, callbacks=[*archives, watch])
    assert not set(seen) & set(before)
    assert handlers() == before


# Ends without a word


def assert_interrupted_and_closed(ended: Ended) -> None:
    """A reader finds out, and the command line seals what there is."""
    run = run_of(ended)
    assert statuses(run) == []
    assert (run.status.status, run.status.sealed) == ("interrupted", False)
    assert "not_sealed" in [finding.code for finding in archiver.verify(run.path).findings]
    assert unfinished_runs(ended.folder / "runs", run_name("run"), 2) == [run]
    assert_closed(run, ended)


def assert_closed(run: Run, ended: Ended) -> None:
    """`archiver finalize` seals what there is."""
    before = journal_logs(run)
    done = scripts.command("finalize", run.path)
    assert (done.returncode, done.stderr) == (0, "")
    assert str(run.seal_id) in done.stdout
    assert_epochs_kept(before, ended)
    assert_sealed(run, before)
    assert scripts.command("verify", run.path).returncode == 0
    assert unfinished_runs(run.path.parent, run_name("run"), 2) == []


def journal_logs(run: Run) -> list[tuple[int, dict[str, float]]]:
    events = events_named(run.journal.read(), "epoch_ended")
    return [(event.details["epoch"], event.details["metrics"]) for event in events]


def assert_epochs_kept(kept: list[tuple[int, dict[str, float]]], ended: Ended) -> None:
    """Every epoch that was over is there, and every epoch that is there is true."""
    assert len(kept) >= len(ended.epochs_over)
    assert kept == ended.logs[: len(kept)]


@pytest.mark.parametrize(
    ("hook", "exit_code"),
    [
        pytest.param("os._exit(5)", 5, id="os_exit"),
        pytest.param("os.abort()", -signal.SIGABRT, id="abort"),
        pytest.param("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, id="kill"),
    ],
)
def test_a_process_that_ends_at_once(hook: str, exit_code: int, server: Server, tmp_path: Path) -> None:
    ended = server.run(tmp_path, f"fit(archive, At('on_train_batch_end', lambda: {hook}, epoch=2))")
    assert ended.exit_code == exit_code
    assert ended.epochs_over == [0, 1]
    assert len(journal_logs(run_of(ended))) == 2
    assert_interrupted_and_closed(ended)


def test_killed_before_the_first_record(tmp_path: Path) -> None:
    """Between the claim of the name and the record of the run."""
    ended = scripts.run_code(tmp_path / "runs", scripts.CLAIM_AND_DIE)
    assert ended.exit_code == 9
    assert_interrupted_and_closed(Ended(tmp_path, ended.exit_code, ended.errors))


LIVES = "fit(archive)\ntell('sealed', 0)\ntime.sleep(60)"
BEGUN = "runs/run_models/journal.jsonl"


@pytest.fixture(scope="module")
def lifetime(server: Server, tmp_path_factory: pytest.TempPathFactory) -> float:
    """Seconds between the claim of the name and the end of `fit`, as things go here and now."""
    script = server.start(tmp_path_factory.mktemp("lifetime"), LIVES)
    script.wait_for(BEGUN)
    begin = time.monotonic()
    script.wait_for("sealed")
    script.end()
    return time.monotonic() - begin


@pytest.mark.stress
@pytest.mark.parametrize("seed", range(KILLS))
def test_kill_at_any_moment(seed: int, lifetime: float, server: Server, tmp_path: Path) -> None:
    """While it begins, trains, saves or seals, or when it is sealed."""
    script = server.start(tmp_path, LIVES)
    script.wait_for(BEGUN)
    time.sleep(random.Random(seed).uniform(0.6 * (seed % 2), 1.1) * lifetime)  # every second one while it ends
    assert_killed_and_closed(script)


@pytest.mark.stress
@pytest.mark.parametrize("seed", range(KILLS // 2))
def test_kill_at_any_moment_of_a_second_phase(seed: int, lifetime: float, server: Server, tmp_path: Path) -> None:
    """A sealed archive is being changed; what the first phase left is there, and nothing is half of both."""
    script = server.start(tmp_path, f"fit(archive)\ntell('again', 0)\n{LIVES}")
    script.wait_for("again")
    time.sleep(random.Random(seed).uniform(0.0, 0.8) * lifetime)
    run = assert_killed_and_closed(script)
    assert len(history_of(run)) >= 4
    assert run.has(layout.KERAS_MODEL)


def assert_killed_and_closed(script: Script) -> Run:
    script.send(signal.SIGKILL)
    ended = script.wait()
    assert ended.exit_code == -signal.SIGKILL
    run = run_of(ended)
    before = run.status
    phases_begun = len(list(events_named(run.journal.read(), "phase_started")))
    assert before.status == ("complete" if 0 < phases_begun == len(statuses(run)) else "interrupted")
    assert_closed(run, ended)
    assert run.status.status == before.status
    return run


# Scripts that go on


def test_the_script_finalizes_what_failed(server: Server, tmp_path: Path) -> None:
    body = """
try:
    fit(archive, validation_data=(object(), y))
except ValueError:
    archive.finalize()
tell("sealed", archive.run.seal_id)
"""
    ended = server.run(tmp_path, body)
    assert (ended.exit_code, ended.errors) == (0, "")
    run = run_of(ended)
    assert statuses(run) == ["failed"]
    assert run.status.exception is not None
    assert "Unrecognized" in run.status.exception.message
    assert ended.told("sealed") == [run.seal_id], "the end of the script changes nothing"
    assert_sealed(run, [])


def test_the_script_goes_on_and_ends(server: Server, tmp_path: Path) -> None:
    body = """
try:
    fit(archive, At('on_epoch_end', fail, epoch=2))
except LookupError:
    tell("sealed", archive.run.seal_id)
"""
    ended = server.run(tmp_path, body)
    assert ended.exit_code == 0
    assert ended.told("sealed") == [None]
    run = run_of(ended)
    assert statuses(run) == ["failed"]
    assert_sealed(run, ended.logs[:2])


def test_a_callback_that_is_gone_when_the_script_ends(server: Server, tmp_path: Path) -> None:
    """The failed run is sealed at the end of the script; the model is not kept alive for that."""
    body = """
import gc, weakref

def experiment():
    global archive, model
    mine, trained = archive, model
    del archive, model
    globals()["model"] = trained
    try:
        fit(mine, At('on_epoch_end', fail, epoch=2))
    except LookupError:
        pass
    del globals()["model"]
    return weakref.ref(mine), weakref.ref(trained)

references = experiment()
keras.backend.clear_session()
gc.collect()
tell("alive", [reference() is not None for reference in references])
"""
    ended = server.run(tmp_path, body)
    assert (ended.exit_code, ended.errors) == (0, "")
    assert ended.told("alive") == [[False, False]]
    run = run_of(ended)
    assert statuses(run) == ["failed"]
    assert_sealed(run, ended.logs[:2])


def test_what_was_logged_last_is_kept_when_the_callback_is_gone(server: Server, tmp_path: Path) -> None:
    body = """
def experiment(archive):
    fit(archive)
    archive.log("verdict", "good")

experiment(globals().pop("archive"))
import gc; gc.collect()
"""
    ended = server.run(tmp_path, body)
    assert (ended.exit_code, ended.errors) == (0, "")
    run = run_of(ended)
    assert run.read(layout.RESULTS).logged == {"verdict": "good"}
    assert_sealed(run, ended.logs)


def test_an_exception_after_training_concerns_nobody(server: Server, tmp_path: Path) -> None:
    ended = server.run(tmp_path, "fit(archive)\ntell('sealed', archive.run.seal_id)\nfail('unrelated')")
    assert ended.exit_code == 1
    assert "unrelated" in ended.errors
    run = run_of(ended)
    assert (statuses(run), run.status.stop_reason) == (["complete"], "epochs")
    assert ended.told("sealed") == [run.seal_id]
    assert_sealed(run, ended.logs)


def test_a_forked_child_leaves_its_parents_run_alone(server: Server, tmp_path: Path) -> None:
    """One child leaves in the middle of fit, one after it; each runs what Python runs at its end.

    But not TensorFlow's destructors, which wait forever in the fork of a process where it has been used.
    """
    body = """
import atexit

def child():
    tell("children", os.getpid())
    sys.exit(7)

def fork():
    process = os.fork()
    if process == 0:
        child()
    tell("exits", os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))

def main():
    fit(At('on_epoch_end', fork), archive)
    archive.log("late", 1)
    tell("sealed", archive.run.seal_id)
    fork()
    tell("unchanged", archive.run.seal_id)

parent = os.getpid()
try:
    main()
finally:
    if os.getpid() != parent:
        sys.excepthook(*sys.exc_info())
        atexit._run_exitfuncs()
        os._exit(sys.exc_info()[1].code)
"""
    ended = server.run(tmp_path, body)
    assert ended.exit_code == 0
    assert ended.told("exits") == [7, 7]
    assert ended.told("sealed") == ended.told("unchanged")
    run = run_of(ended)
    assert statuses(run) == ["complete"]
    assert run.read(layout.RESULTS).logged == {"late": 1}
    assert_sealed(run, ended.logs)
    assert len(ended.logs) == 4


# Other threads

IN_A_THREAD = """
def train():
    fit(archive, {arguments})

thread = threading.Thread(target=train, daemon={daemon})
thread.start()
"""


def test_fit_in_another_thread(server: Server, tmp_path: Path) -> None:
    ended = server.run(tmp_path, IN_A_THREAD.format(arguments="", daemon=False))
    assert (ended.exit_code, ended.errors) == (0, "")
    run = run_of(ended)
    assert (statuses(run), run.status.stop_reason) == (["complete"], "epochs")
    assert_sealed(run, ended.logs)
    assert len(ended.logs) == 4


@pytest.mark.parametrize(
    ("arguments", "text", "epochs"),
    [
        pytest.param("At('on_epoch_end', fail)", "planted", 1, id="seen"),
        pytest.param("validation_data=(object(), y)", "Unrecognized", 0, id="seen_by_the_threads_hook_only"),
    ],
)
def test_fit_fails_in_another_thread(arguments: str, text: str, epochs: int, server: Server, tmp_path: Path) -> None:
    ended = server.run(tmp_path, IN_A_THREAD.format(arguments=arguments, daemon=False))
    assert ended.exit_code == 0
    assert text in ended.errors, "the thread's own traceback"
    run = run_of(ended)
    assert statuses(run) == ["failed"]
    assert run.status.exception is not None
    assert text in run.status.exception.message
    assert_sealed(run, ended.logs[:epochs])


def test_the_main_thread_fails_while_another_trains(server: Server, tmp_path: Path) -> None:
    body = IN_A_THREAD.format(arguments="At('on_epoch_end', lambda: (ready(), time.sleep(0.5)))", daemon=False)
    ended = server.run(tmp_path, body + "while not os.path.exists('ready'): time.sleep(0.01)\nfail('unrelated')")
    assert ended.exit_code == 1
    run = run_of(ended)
    assert statuses(run) == ["complete"]
    assert_sealed(run, ended.logs)
    assert len(ended.logs) == 4


def test_the_process_ends_while_a_thread_trains(server: Server, tmp_path: Path) -> None:
    """Python ends without waiting for a daemon thread; the archive is sealed and stays so, while the thread goes on.

    `os._exit`, since the destructors of TensorFlow may wait forever for a thread that Python has stopped.
    """
    last = "import atexit\natexit.register(lambda: (time.sleep(0.5), os._exit(0)))\n"
    body = IN_A_THREAD.format(arguments="At('on_epoch_end', ready, epoch=2), epochs=10**9", daemon=True)
    ended = server.run(tmp_path, last + body + "while not os.path.exists('ready'): time.sleep(0.01)\n")
    assert ended.exit_code == 0
    run = run_of(ended)
    assert statuses(run) == ["failed"]
    assert "while fit was running in another thread" in status_event(run)["note"]
    kept = journal_logs(run)
    assert kept == ended.logs[: len(kept)]
    assert len(kept) >= 2
    assert_sealed(run, kept)


# Trainings that return early: fit returns, so the archive is complete, and says why there are no more epochs


class Digests(keras.callbacks.Callback):
    """The digest of the weights at the end of each epoch."""

    def on_train_begin(self, logs: Any = None) -> None:
        self.seen: list[str] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seen.append(weights_digest(self.model.weights))


def trained(
    root: Path, *callbacks: Any, rate: float = 0.1, **arguments: Any
) -> tuple[Run, keras.Model, dict[str, Any]]:
    """A run of four epochs at most, its model, and Keras' history."""
    keras.utils.set_random_seed(5)
    model = small.model()
    model.compile(keras.optimizers.SGD(rate), loss="sparse_categorical_crossentropy")
    archive = archiver.RunArchiver(root, name="run")
    given = {"epochs": 4, "batch_size": 16, "verbose": 0} | arguments
    history = model.fit(*small.arrays(), callbacks=[*callbacks, archive], **given).history
    run = archive.run
    assert statuses(run) == ["complete"]
    epochs = range(given.get("initial_epoch", 0), len(history.get("loss", ())) + given.get("initial_epoch", 0))
    rows = [dict(zip(history, values, strict=True)) for values in zip(*history.values(), strict=True)]
    assert repr(history_of(run)) == repr(list(zip(epochs, rows, strict=True))), "as Keras has it, NaN for NaN"
    assert archiver.verify(run.path, deep=True).findings == ()
    return run, model, history


class TooFast(keras.callbacks.Callback):
    """Trains at an absurd rate from the second epoch on."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == 1:
            self.model.optimizer.learning_rate = 1e38


@pytest.mark.parametrize(("stops", "reason"), [(True, "nan"), (False, "epochs")])
def test_nan(stops: bool, reason: str, tmp_path: Path) -> None:
    run, _, history = trained(tmp_path, TooFast(), *([keras.callbacks.TerminateOnNaN()] if stops else []))
    first = [math.isfinite(loss) for loss in history["loss"]].index(False)
    assert first in (1, 2)
    assert len(history["loss"]) == (first + 1 if stops else 4)
    assert run.status.stop_reason == reason
    results = run.read(layout.RESULTS)
    assert results.stop_reason == reason
    assert results.first_non_finite_loss == {"phase": 0, "epoch": first}
    assert results.best_epoch.epoch == int(np.nanargmin(history["loss"]))  # type: ignore[union-attr]


def worse_from(epoch: int) -> keras.callbacks.Callback:
    """Spoils the weights at the beginning of each epoch from `epoch` on, so that the one before stays the best."""

    def spoil(current: int, logs: Any = None) -> None:
        if current >= epoch:
            model = callback.model
            model.set_weights([weights + current for weights in model.get_weights()])

    callback = keras.callbacks.LambdaCallback(on_epoch_begin=spoil)
    return callback


@pytest.mark.parametrize("restores", [True, False])
def test_early_stopping(restores: bool, tmp_path: Path) -> None:
    digests = Digests()
    stopping = keras.callbacks.EarlyStopping(patience=2, restore_best_weights=restores)
    run, model, history = trained(
        tmp_path, digests, worse_from(2), stopping, epochs=9, validation_data=small.arrays(seed=1), rate=0.001
    )
    best = int(np.argmin(history["val_loss"]))
    assert (best, len(digests.seen)) == (1, 4)
    assert run.status.stop_reason == "early_stopping"
    results = run.read(layout.RESULTS)
    assert (results.best_epoch.epoch, results.best_epoch.monitor) == (best, "val_loss")  # type: ignore[union-attr]
    assert results.best_epoch.weights_digest == digests.seen[best]  # type: ignore[union-attr]
    assert results.weights_digest == weights_digest(model.weights) == digests.seen[best if restores else -1]
    assert run.has(layout.BEST_WEIGHTS) is not restores
    assert results.best_epoch.file == (None if restores else layout.BEST_WEIGHTS.path("run"))  # type: ignore[union-attr]
    kept = layout.WEIGHTS_H5 if restores else layout.BEST_WEIGHTS
    model.set_weights([np.zeros_like(weights) for weights in model.get_weights()])
    model.load_weights(run.path_of(kept))
    assert weights_digest(model.weights) == digests.seen[best]


def test_early_stopping_that_did_not_stop(tmp_path: Path) -> None:
    run, _, history = trained(tmp_path, keras.callbacks.EarlyStopping(monitor="loss", patience=9))
    assert len(history["loss"]) == 4
    assert run.status.stop_reason == "epochs"


def test_a_callback_of_the_users_stops(tmp_path: Path) -> None:
    def stop(epoch: int, logs: Any) -> None:
        stopper.model.stop_training = epoch == 1

    stopper = keras.callbacks.LambdaCallback(on_epoch_end=stop)
    run, _, history = trained(tmp_path, stopper, keras.callbacks.TerminateOnNaN())
    assert len(history["loss"]) == 2
    assert run.status.stop_reason == "user"


@pytest.mark.parametrize("arguments", [{"epochs": 0}, {"epochs": 2, "initial_epoch": 7}])
def test_no_epoch_at_all(arguments: dict[str, int], tmp_path: Path) -> None:
    run, model, history = trained(tmp_path, **arguments)
    assert history == {}
    assert run.status.stop_reason == "epochs"
    results = run.read(layout.RESULTS)
    assert (results.epoch_count, results.phase_count, results.final_metrics) == (0, 1, {})
    assert results.weights_digest == weights_digest(model.weights)
    assert run.read(layout.TRAIN_CONFIG).phases[0].epochs == arguments["epochs"]


def test_initial_epoch(tmp_path: Path) -> None:
    run, _, history = trained(tmp_path, epochs=5, initial_epoch=3)
    assert [epoch for epoch, _ in history_of(run)] == [3, 4]
    assert len(history["loss"]) == 2
