"""What exactly is broken in a file of tensors whose bytes were changed, and which other files still hold it.

FINDING [changed] models/a.weights.h5: its blake3 is not the recorded one (36040 bytes now)
FINDING [tensor] models/a.weights.h5: tensor layers/dense/vars/0 (variable a/dense/kernel of layer dense) is not
  the recorded one; models/a.keras, models/a.h5 and the checkpoint still hold it: `archiver repair` can rebuild it
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from archiver import layout
from archiver.archive.inspection import Inspection
from archiver.archive.tensor_tables import (
    RecordedTensor,
    TensorRecords,
    TensorTable,
    best_digest,
    digest_at,
)
from archiver.errors import ArchiverError
from archiver.storage.reading import open_below
from archiver.storage.tensors import Tensors, open_tensors

SHOWN_TENSORS = 5
"""Damaged tensors of a file that have a finding of their own; the others are counted."""

Digests = dict[str, str | None]
"""By location; None for a tensor that cannot be read."""


@dataclass
class Diagnosis:
    """Explains one changed file after the other."""

    inspection: Inspection
    records: TensorRecords
    tables: Mapping[str, TensorTable]
    _read: dict[str, Digests] = field(default_factory=dict)

    def explain(self, file: str) -> None:
        """Report which tensors of a changed file are damaged, or that none is; nothing for files of another kind."""
        if file == layout.BEST_WEIGHTS.path(self.inspection.run.name):
            self._explain_best(file)
        elif file in self.tables and (self.tables[file].recorded or self.tables[file].derived):
            self._explain_table(self.tables[file])

    def _explain_table(self, table: TensorTable) -> None:
        try:
            found = self._digests(table)
        except (ArchiverError, OSError) as error:
            self.inspection.find("tensor", table.file, f"{unreadable(table.file, error)}{self._remedy_of_all(table)}")
            return
        compared = table.recorded | comparable(table, found)
        damaged = [location for location, tensor in compared.items() if found.get(location) != tensor.sha256]
        for location in damaged[:SHOWN_TENSORS]:
            self._report(table, compared[location], found.get(location))
        if len(damaged) > SHOWN_TENSORS:
            more = f"{len(damaged) - SHOWN_TENSORS} more of {len(compared)} tensors are not the recorded ones"
            lost = sum(not self.holders(compared[location].sha256, table.file) for location in damaged)
            self.inspection.find("tensor", table.file, f"{more}; {lost or 'none'} of all is lost in every file")
        if not damaged:
            rest = self._not_compared(table, found)
            self.inspection.inform(
                "tensor", table.file, f"all its {len(compared)} recorded tensors are sound: what is around them was hit"
                f"{rest}",
            )  # fmt: skip

    def _not_compared(self, table: TensorTable, found: Digests) -> str:
        count = len(found.keys() - table.recorded.keys() - comparable(table, found).keys())
        return f", or one of {count} tensors that no record tells of" if count else ""

    def _report(self, table: TensorTable, tensor: RecordedTensor, digest: str | None) -> None:
        fault = "is not the recorded one" if digest is not None else "cannot be read"
        where = held_by(self.holders(tensor.sha256, table.file))
        self.inspection.find("tensor", table.file, f"{tensor.what} {fault}; {where}")

    def _remedy_of_all(self, table: TensorTable) -> str:
        lost = [tensor for tensor in table.recorded.values() if not self.holders(tensor.sha256, table.file)]
        if not table.recorded:
            return ""
        if lost:
            return f"; no other file holds {len(lost)} of its {len(table.recorded)} tensors"
        return (
            f"; other files still hold all its {len(table.recorded)} recorded tensors: `archiver repair` can use them"
        )

    def holders(self, digest: str, besides: str) -> list[str]:
        """The other files that hold a tensor with this digest."""
        found = []
        for table in self.tables.values():
            if table.file != besides and table.file in self.inspection.sizes:
                try:
                    digests = self._digests(table)
                except (ArchiverError, OSError):
                    continue
                if digest in digests.values():
                    found.append(self._called(table.file))
        return found

    def _called(self, file: str) -> str:
        is_checkpoint = file == layout.CHECKPOINT_VARIABLES.path(self.inspection.run.name)
        return "the checkpoint" if is_checkpoint else file

    def _digests(self, table: TensorTable) -> Digests:
        if table.file not in self._read:
            path = self.inspection.run.path
            with open_below(path, table.file) as opened, open_tensors(opened, table.form, where=table.file) as tensors:
                self._read[table.file] = {location: _digest(tensors, location) for location in tensors.entries}
            self.inspection.tensors_checked += len(table.recorded.keys() & self._read[table.file].keys())
        return self._read[table.file]

    def _explain_best(self, file: str) -> None:
        """Only the digest of all weights of the best epoch together is recorded."""
        table, expected = self.records.weights, best_digest(self.records.results)
        if table is None or expected is None:
            return
        path = self.inspection.run.path
        try:
            with open_below(path, file) as opened, open_tensors(opened, "weights.h5", where=file) as tensors:
                found = digest_at(tensors, table, "weights.h5")
        except (ArchiverError, OSError) as error:
            self.inspection.find("tensor", file, f"{unreadable(file, error)}; no other file holds them")
            return
        if found == expected:
            message = "its weights are sound: what is around them was hit, or the optimizer, of which no record tells"
            self.inspection.inform("tensor", file, message)
        elif found is not None:
            message = (
                "its weights are not the recorded ones; of this epoch only their common digest is recorded, and no"
            )
            self.inspection.find("tensor", file, f"{message} other file holds them")


def comparable(table: TensorTable, found: Mapping[str, str | None]) -> dict[str, RecordedTensor]:
    """The derived tensors, if the file is seen to keep them there: at least one of them has its digest."""
    there = {location: tensor for location, tensor in table.derived.items() if location in found}
    return there if any(found[location] == tensor.sha256 for location, tensor in there.items()) else {}


def held_by(holders: Iterable[str]) -> str:
    """Which files still hold a tensor, and what to do."""
    names = list(holders)
    if not names:
        return "no other file holds it"
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{listed} still {'holds' if len(names) == 1 else 'hold'} it: `archiver repair` can rebuild it"


def _digest(tensors: Tensors, location: str) -> str | None:
    try:
        return tensors.digest(location)
    except ArchiverError:
        return None


def unreadable(file: str, error: Exception) -> str:
    """Why the tensors of a file cannot be read; the file is named by the finding already."""
    return f"its tensors cannot be read: {str(error).removeprefix(f'{file}: ').rstrip('.')}"
