"""The records of an archive: pydantic models only, one module per subject, no reading or writing of files.

A *record* is one JSON document. Its class derives from `Record`; the pieces it is made of derive from `Part`.

These modules do without `from __future__ import annotations`: pydantic would compile each of 1,200 annotations from its
text, which every command would wait for.
"""
