"""What the tests of the training share."""

import pytest

from archiver import sealing


@pytest.fixture(autouse=True)
def _without_figures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take most of the time of a seal, and have tests of their own; those here that need them are marked."""
    if request.node.get_closest_marker("figures") is None:
        draw = sealing.draw_figures
        monkeypatch.setattr(sealing, "draw_figures", lambda run, journal, wanted: draw(run, journal, wanted=False))
