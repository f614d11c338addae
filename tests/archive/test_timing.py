"""Durations from journals that were made up: sums, speeds, and what is said where a part is missing."""

import pytest

from archiver.archive.timing import build_timing
from archiver.records.base import Unavailable
from tests.archive.histories import START, MadeUpJournal


def epoch(journal, number, **details):
    seconds = {
        "seconds": 4.0, "train_seconds": 3.0, "validation_seconds": 0.5, "step_count": 10, "first_step_seconds": 1.0,
        "median_step_seconds": 0.25,
    }  # fmt: skip
    return journal.add("epoch_ended", epoch=number, metrics={}, **(seconds | details))


def begun(phase=0, **batches):
    journal = MadeUpJournal().add("created", name="a")
    return begin(journal, phase, **batches)


def begin(journal, phase, **batches):
    journal.add("phase_started", phase=phase, local_offset_seconds=-3600)
    details = {"collecting_seconds": 0.5, "preparation_seconds": None} | batches
    return journal.add("training_began", phase=phase, **details)


def test_a_phase():
    journal = begun(preparation_seconds=0.125, batch_size=8, batch_count=10, last_batch_size=2)
    epoch(journal, 0)
    epoch(journal, 1, first_step_seconds=0.25, train_seconds=2.0, seconds=3.0, median_step_seconds=0.75)
    journal.add("models_saved", seconds=0.25).add("status", status="complete", stop_reason="epochs")
    timing = build_timing(journal.contents)
    (phase,) = timing.phases
    assert (phase.started, phase.training_began, phase.ended) == tuple(
        event.utc for event in (journal.events[1], journal.events[2], journal.events[-1])
    )
    assert (phase.started - START).total_seconds() == 1
    assert phase.local_offset_seconds == -3600
    assert phase.total_seconds == 5.0
    assert (phase.preparation_seconds, phase.collecting_seconds, phase.saving_seconds) == (0.125, 0.5, 0.25)
    assert (phase.train_seconds, phase.validation_seconds, phase.other_epoch_seconds) == (5.0, 1.0, 1.0)
    assert (phase.first_step_seconds, phase.median_step_seconds, phase.compile_seconds) == (1.0, 0.5, 0.5)
    assert phase.median_epoch_seconds == 3.5
    assert (phase.step_count, phase.sample_count) == (20, 2 * (9 * 8 + 2))
    assert (phase.steps_per_second, phase.samples_per_second) == (4.0, 148 / 5)
    assert timing.whole_run.model_dump().items() <= phase.model_dump().items()
    assert "no test data" in timing.testing_seconds.unavailable


def test_an_epoch_that_was_cut_short_has_no_smaller_last_batch():
    journal = epoch(begun(batch_size=8, batch_count=20, last_batch_size=2), 0)
    assert build_timing(journal.contents).phases[0].sample_count == 80


def test_phases_and_evaluations_add_up():
    journal = epoch(begun(batch_size=8), 0).add("models_saved", seconds=1.0).add("status", status="complete")
    epoch(begin(journal, 1), 0, train_seconds=1.0, step_count=4)
    journal.add("models_saved", seconds=2.0).add("status", status="complete")
    journal.add("evaluated", seconds=0.5).add("evaluated", seconds=0.25)
    timing = build_timing(journal.contents)
    assert (timing.whole_run.train_seconds, timing.whole_run.saving_seconds) == (4.0, 3.0)
    assert (timing.whole_run.step_count, timing.whole_run.steps_per_second) == (14, 3.5)
    assert timing.testing_seconds == 0.75
    assert "batch size" in timing.phases[1].sample_count.unavailable
    assert timing.whole_run.sample_count == 80
    assert timing.whole_run.samples_per_second == 80 / 3, "of the phase in which samples are known"


def test_a_loop_that_reports_no_steps():
    journal = begun()
    none = dict.fromkeys(("train_seconds", "step_count", "first_step_seconds", "median_step_seconds"))
    epoch(journal, 0, **none, validation_seconds=None)
    (phase,) = build_timing(journal.contents).phases
    for each in (phase.train_seconds, phase.step_count, phase.sample_count, phase.steps_per_second,
                 phase.first_step_seconds, phase.compile_seconds, phase.other_epoch_seconds):  # fmt: skip
        assert isinstance(each, Unavailable)
    assert phase.validation_seconds == Unavailable(unavailable="no epoch was validated")
    assert phase.median_epoch_seconds == 4.0


def test_a_run_that_was_killed():
    journal = epoch(begun(), 0)
    (phase,) = build_timing(journal.contents).phases
    assert phase.total_seconds == 4.0, "its epochs alone"
    assert "no end" in phase.ended.unavailable
    journal.add("status", part=1, status="interrupted")
    (phase,) = build_timing(journal.contents).phases
    assert phase.ended == journal.events[-2].utc, "the last sign of life"
    assert phase.total_seconds == 2.0


def test_a_run_that_never_began():
    journal = MadeUpJournal().add("created").add("phase_started", phase=0)
    (phase,) = build_timing(journal.contents).phases
    assert "before training began" in phase.training_began.unavailable
    assert isinstance(phase.first_step_seconds, Unavailable)
    assert isinstance(phase.local_offset_seconds, Unavailable)
    assert build_timing(MadeUpJournal().add("created").contents).phases == ()
    assert build_timing(MadeUpJournal().add("created").contents).whole_run.total_seconds == 0


@pytest.mark.parametrize("nonsense", ["NaN", "much", None, [], -1, True, 1e308])
def test_nonsense_in_the_journal_is_no_error(nonsense):
    keys = ("seconds", "train_seconds", "validation_seconds", "step_count", "first_step_seconds", "median_step_seconds")
    journal = begun(batch_size=nonsense, batch_count=nonsense, collecting_seconds=nonsense)
    for number in range(3):
        epoch(journal, number, **dict.fromkeys(keys, nonsense))
    build_timing(journal.add("models_saved", seconds=nonsense).contents)
