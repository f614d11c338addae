"""What the tests of the training share."""

from collections.abc import Iterator

import pytest

from archiver import sealing


@pytest.fixture(autouse=True)
def _without_figures(request: pytest.FixtureRequest) -> Iterator[None]:
    """Figures take most of the time of a seal, and have tests of their own; those here that need them are marked."""
    with pytest.MonkeyPatch.context() as patch:  # a test may undo its own
        if request.node.get_closest_marker("figures") is None:
            draw = sealing.draw_figures
            patch.setattr(sealing, "draw_figures", lambda *given, wanted: draw(*given, wanted=False))
        yield
