"""Files that other programs leave in any folder they touch: who left an unlisted file, told by its name.

They stay findings: a folder with a file that nobody sealed is not what was sealed, and `__pycache__` holds code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from archiver.storage.files import TEMPORARY_PREFIX


@dataclass(frozen=True)
class LeftBehind:
    """Where what was left begins, and who left it."""

    path: str
    """The file, or the folder that holds it and is wholly that program's."""
    is_folder: bool
    who: str


_REMOVE = "remove it"
_FOLDERS = {
    ".git": "the repository of Git; verify an export, or a clone beside it",
    ".hg": "the repository of Mercurial; verify an export",
    ".svn": "the repository of Subversion; verify an export",
    ".dvc": f"left by DVC; {_REMOVE}",
    ".datalad": f"left by DataLad; {_REMOVE}",
    "__pycache__": f"left by Python, which ran code in this folder; {_REMOVE}",
    ".ipynb_checkpoints": f"left by Jupyter; {_REMOVE}",
    ".idea": f"left by an editor of JetBrains; {_REMOVE}",
    ".vscode": f"left by Visual Studio Code; {_REMOVE}",
    "__MACOSX": f"left by the archiver of macOS; {_REMOVE}",
    ".AppleDouble": f"left by a macOS file server; {_REMOVE}",
    ".Spotlight-V100": f"left by macOS Spotlight; {_REMOVE}",
    ".Trashes": f"left by macOS; {_REMOVE}",
    ".fseventsd": f"left by macOS; {_REMOVE}",
    "@eaDir": f"left by a Synology file server; {_REMOVE}",
    "$RECYCLE.BIN": f"left by Windows; {_REMOVE}",
    "System Volume Information": f"left by Windows; {_REMOVE}",
    "lost+found": f"left by a check of the file system; {_REMOVE}",
}

_FILES = (
    (r"\.DS_Store|\.localized|Icon\r", "left by macOS Finder"),
    (r"\._.+", "left by macOS, which keeps attributes of a file in it"),
    (r"Thumbs\.db|ehthumbs\.db|desktop\.ini", "left by Windows Explorer"),
    (r".+:Zone\.Identifier", "left by Windows, which marks downloads with it"),
    (r"\.directory", "left by KDE"),
    (r"\.Trash-\d+|\.fuse_hidden.+|\.nfs[0-9a-f]+", "left by the file system, of a file removed while it was open"),
    (r"\.~lock\..+#|~\$.+", "left by an office program that has a file open"),
    (r".+~|#.+#|\.#.+|\..+\.sw[a-p]|.+\.(bak|orig|rej)", "left by an editor or a merge, as the copy of another file"),
    (r".+\.(part|partial|filepart|crdownload|download|aria2)", "left by a transfer that has not ended"),
    (r"\.git(attributes|ignore|modules|keep)|\.dvcignore", "belongs to a version control"),
    (r".+\.dvc", "left by DVC, as a pointer to a file"),
    (r".+\.py[co]", "left by Python, which ran code in this folder"),
    (rf"{re.escape(TEMPORARY_PREFIX)}.+", "left by archiver, of a write that was cut off"),
)
_FILE_PATTERNS = tuple((re.compile(pattern, re.DOTALL), who) for pattern, who in _FILES)
_UNFINISHED_COPY = re.compile(r"\.(.+)\.[A-Za-z0-9]{6}", re.DOTALL)
"""What rsync calls a file until it is whole."""


def left_behind(path: str, listed: frozenset[str] = frozenset()) -> LeftBehind | None:
    """Who left the unlisted `path`; None where its name does not tell.

    Args:
        path: in the archive.
        listed: names of files (without folders) that the archive has, of which a copy may be unfinished.
    """
    parts = path.split("/")
    for depth, part in enumerate(parts, start=1):
        if part in _FOLDERS:
            return LeftBehind("/".join(parts[:depth]), True, _FOLDERS[part])
    name = parts[-1]
    for pattern, who in _FILE_PATTERNS:
        if pattern.fullmatch(name):
            return LeftBehind(path, False, f"{who}; {_REMOVE}")
    unfinished = _UNFINISHED_COPY.fullmatch(name)
    if unfinished and unfinished[1] in listed:
        return LeftBehind(path, False, f"left by rsync, of a copy that was cut off; {_REMOVE}")
    return None
