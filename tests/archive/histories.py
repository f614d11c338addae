"""Histories and journals made up for tests of what is derived from them."""

from datetime import UTC, datetime, timedelta

from archiver.records.journal import JournalEvent
from archiver.storage.journal import JournalContents
from archiver.storage.jsonable import jsonable

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class MadeUpJournal:
    """Events a second apart; `contents` is what a reader of the journal gets."""

    def __init__(self):
        self.events = []

    def add(self, event, part=0, **details):
        number = len(self.events)
        self.events.append(
            JournalEvent(
                event=event,
                utc=START + timedelta(seconds=number),
                monotonic_seconds=100.0 + number,
                part=part,
                details=jsonable(details),
            )
        )
        return self

    @property
    def contents(self):
        return JournalContents(tuple(self.events), (), 0)


def journal_of(*phases, directions=None, monitor=None):
    """`phases`: for each, a dict of columns by metric; None in a column: no value in that epoch."""
    journal = MadeUpJournal().add("created", name="a")
    for number, columns in enumerate(phases):
        journal.add("phase_started", phase=number, local_offset_seconds=0)
        for epoch in range(len(next(iter(columns.values()), ()))):
            metrics = {name: column[epoch] for name, column in columns.items() if column[epoch] is not None}
            said = {"directions": directions} if directions and epoch == 0 else {}
            journal.add("epoch_ended", phase=number, epoch=epoch, metrics=metrics, seconds=0.5, **said)
            if monitor and epoch == 0:
                journal.add("best_epoch", phase=number, epoch=0, monitor=monitor[0], mode=monitor[1], value=0.0)
        journal.add("status", phase=number, status="complete", stop_reason="epochs")
    return journal.contents
