"""Where the weights came from that a run began with."""

from typing import Literal

from archiver.records.base import Part, Sha256


class ParentPart(Part):
    """An earlier run that this one went on from."""

    run: str
    """Its name."""
    folder: str | None
    """Its folder, which stands beside that of this run; null: it stands elsewhere."""
    seal_id: Sha256 | None
    """Null: it was not sealed then."""
    weights: Literal["final", "best"] | None
    """Which of its weights this run began with; null: none of them, it was stated with `parent=`."""
    weights_digest: Sha256 | None
    """Of those weights."""
    is_stated: bool
    """Whether it was given as `parent=`; false: found by its weights."""
