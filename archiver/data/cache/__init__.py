"""Window caches: windows cut from recordings, compressed in one HDF5 file, item by item, never half an item.

A cache is `<path>`, an HDF5 file that opens anywhere, and `<path>.manifest.jsonl`, which says what is in it: a line
for each item (a recording, say) with digests. An item is there whole or not at all, whatever ends the process:

- `held_file`: what libhdf5 would change in the committed part of the file is held back in memory;
- `journal`: a commit writes these changes to a file beside the cache, then into it; a commit that was cut off is
  carried out by the next process, or never happened;
- `records`: the lines of the manifest;
- `chunks`, `codecs`: windows packed by an HDF5 filter, one window a chunk;
- `columns`: labels, groups and metadata, a row for each window;
- `writer`, `window_cache`, `verifying`: writing, reading, checking;
- `recording`, `extraction`, `edf`: windows from continuous recordings;
- `plan`, `building`, `workers`: `archiver cache build`.
"""
