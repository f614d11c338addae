"""A token in the archive of a live run: training goes on, the archive stays open, one warning says what to do."""

import os
import warnings

import numpy as np
import pytest

import archiver
from archiver import layout
from archiver.errors import ArchiverWarning, ArgumentError
from archiver.storage.journal import events_named
from tests.archive.test_secrets import TOKEN
from tests.training.small import model as small_model

X, Y = np.zeros((8, 4), "float32"), np.zeros(8, "int64")


def trained(tmp_path, **arguments):
    (tmp_path / "notes.txt").write_text(f"my notes\n{TOKEN}\n")
    archive = archiver.RunArchiver(tmp_path / "runs", name="live", figures=False, sampling_hertz=0, **arguments)
    archive.add_file(tmp_path / "notes.txt")
    model = small_model()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = model.fit(X, Y, epochs=1, verbose=0, callbacks=[archive])
    assert len(history.history["loss"]) == 1
    return archive, [str(each.message) for each in caught if issubclass(each.category, ArchiverWarning)]


def test_fit_goes_on_and_warns_once(tmp_path):
    archive, messages = trained(tmp_path)
    (message,) = [each for each in messages if "secret" in each]
    run = archiver.Run.open(tmp_path / "runs" / "live_models")
    assert "files/notes.txt:2: GitHub token" in message
    assert f"archiver finalize {run.path}" in message
    assert "allow_secrets=True" in message
    assert TOKEN not in message
    assert run.seal_id is None
    assert run.status.status == "complete"
    assert run.has(layout.WEIGHTS_H5)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert archive.finalize(test_data=(X, Y)).path == run.path
    assert not [each for each in caught if "secret" in str(each.message)], "it was said"
    assert run.seal_id is None
    (_, why) = [each for each in archiver.verify(run.path).findings if each.code == "not_sealed"]
    assert "GitHub token" in why.message
    os.unlink(run.path / "files" / "notes.txt")
    archive.finalize(test_data=(X, Y))
    assert archiver.verify(run.path, secrets=True).is_whole
    assert run.read(layout.RESULTS).test.metrics


def test_it_can_be_allowed(tmp_path):
    archive, messages = trained(tmp_path, allow_secrets=True)
    assert not [each for each in messages if "secret" in each]
    run = archive.finalize()
    report = archiver.verify(run.path)
    assert report.is_whole
    assert "secret" in {each.code for each in report.information}
    assert len(list(events_named(run.journal.read(), "secrets_allowed"))) == 1
    with pytest.raises(ArgumentError, match="allow_secrets='yes'"):
        archiver.RunArchiver(tmp_path, name="x", allow_secrets="yes")
