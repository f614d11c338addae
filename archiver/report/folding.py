"""What is long folds away: a table stays open up to a number of rows, beyond it a click opens it."""

from __future__ import annotations

from archiver.report.markdown import Safe
from archiver.report.tables import NARROW_ROWS, WORST_ROWS, Table


def fold(title: str, body: str) -> Safe:
    """`body` behind a click on `title`, which must be text of archiver's own without `<` and `>`."""
    return Safe(f"<details><summary>{title}</summary>\n\n{body}\n\n</details>")


def folded(table: Table, title: str, open_rows: int = NARROW_ROWS) -> Safe:
    """The table; behind a click where it has more than `open_rows` rows."""
    more = f"\n\n{table.left_out:,} more are in the records." if table.left_out else ""
    text = Safe(f"{table.text}{more}")
    count = len(table.rows)
    return text if count <= open_rows else fold(f"{title} ({count:,} rows)" if count > 1 else title, text)


def worst_first(table: Table, title: str) -> Safe:
    """A table whose first rows matter most: these stay open, all rows are behind a click."""
    if len(table.rows) <= NARROW_ROWS:
        return table.text
    return Safe(f"{table.first(WORST_ROWS).text}\n\n{folded(table, title, 0)}")
