"""Reading a file of lines while another process appends to it: only what is new, and only whole lines."""

from __future__ import annotations

import os
from pathlib import Path

from archiver.storage.reading import open_below

BLOCK_BYTES = 8 << 20
"""What is read at once, and the longest line; a longer one is left out."""


class LineFollower:
    """The lines of the regular file `path` below `folder`, as they come. The file need not be there yet.

    A last line without its line feed is not whole and waits. A file that is replaced, as a trace is when it is
    thinned, or that becomes shorter, is read from its beginning again. The file is opened for each reading only.
    """

    def __init__(self, folder: Path, path: str) -> None:
        self.folder, self.path = folder, path
        self.restarts = 0
        """How often reading began anew: what was made of the lines before is void then."""
        self.size_bytes = self.read_bytes = 0
        self.modified_seconds: float | None = None
        """When the file was last written, in seconds since 1970; None as long as it is not there."""
        self._identity: tuple[int, int] | None = None
        self._is_inside_long_line = False

    @property
    def has_more(self) -> bool:
        """Whether the last reading left whole blocks behind."""
        return self.size_bytes - self.read_bytes >= BLOCK_BYTES

    def read(self) -> list[bytes]:
        """The next lines, without line feeds: at most `BLOCK_BYTES` of them; none where there is no file.

        Raises:
            UnsafeFileError: it is a link, or no regular file.
            OSError: it cannot be read.
        """
        try:
            file = open_below(self.folder, self.path)
        except FileNotFoundError:
            return []
        with file:
            status = os.fstat(file.fileno())
            self._notice_change((status.st_dev, status.st_ino), status.st_size)
            self.size_bytes, self.modified_seconds = status.st_size, status.st_mtime
            if status.st_size == self.read_bytes:
                return []
            data = os.pread(file.fileno(), BLOCK_BYTES, self.read_bytes)
        return self._whole_lines(data)

    def _notice_change(self, identity: tuple[int, int], size: int) -> None:
        if self._identity not in (None, identity) or size < self.read_bytes:
            self.restarts += 1
            self.read_bytes = 0
            self._is_inside_long_line = False
        self._identity = identity

    def _whole_lines(self, data: bytes) -> list[bytes]:
        end = data.rfind(b"\n") + 1
        if not end:
            if len(data) == BLOCK_BYTES:
                self._is_inside_long_line = True
                self.read_bytes += len(data)
            return []
        self.read_bytes += end
        lines = data[: end - 1].split(b"\n")
        if self._is_inside_long_line:
            self._is_inside_long_line = False
            del lines[0]
        return lines
