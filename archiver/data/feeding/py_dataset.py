"""The batches of a feed as a PyDataset, for every backend of Keras."""

from __future__ import annotations

from typing import Any

import keras

from archiver.data.feeding.feed import Feed


class WindowDataset(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches by index, in the order of the pass that Keras is in.

    Args:
        feed: makes the batches.
    """

    def __init__(self, feed: Feed) -> None:
        super().__init__()
        self._feed, self._passes = feed, 0

    def __len__(self) -> int:
        return len(self._feed)

    def __getitem__(self, index: int) -> Any:
        """The batch `index` of this pass.

        Raises:
            DataError: what is stored is damaged.
        """
        return self._feed.batch(self._passes, index)

    def on_epoch_end(self) -> None:
        """Go on to the next pass."""
        self._passes += 1

    def get_archive_state(self) -> dict[str, int]:
        """Where it stands between two epochs."""
        return {"passes": self._passes}

    def set_archive_state(self, state: dict[str, int]) -> None:
        """Stand there; the epochs before are not read."""
        self._passes = int(state["passes"])
