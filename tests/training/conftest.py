"""What the tests of the training share."""

import sys
from collections.abc import Iterator

import pytest

from archiver import sealing
from archiver.records.environment import ChangedFilesPart
from archiver.training import collecting


@pytest.fixture(autouse=True)
def _without_figures(request: pytest.FixtureRequest) -> Iterator[None]:
    """Figures take most of the time of a seal, and have tests of their own; those here that need them are marked."""
    with pytest.MonkeyPatch.context() as patch:  # a test may undo its own
        if request.node.get_closest_marker("figures") is None:
            draw = sealing.draw_figures
            patch.setattr(sealing, "draw_figures", lambda *given, wanted: draw(*given, wanted=False))
        yield


_edited: dict[tuple[str, ...], dict[str, ChangedFilesPart]] = {}


@pytest.fixture(autouse=True)
def _packages_looked_at_once() -> Iterator[None]:
    """Each run looks at seventy thousand installed files, which takes longer than most trainings here.

    Nobody edits them meanwhile, so that each process of the tests really looks once; `tests/collect` tests the
    looking, and what starts an interpreter of its own looks anew.
    """
    look = collecting.find_changed_files

    def look_once() -> dict[str, ChangedFilesPart]:
        place = tuple(sys.path)
        if place not in _edited:
            _edited[place] = look()
        return _edited[place]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collecting, "find_changed_files", look_once)
        yield
