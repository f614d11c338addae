"""Statistics of data of any size in one pass, in fixed memory.

- `blocks`: arrays, memory maps, windows on disk and batches, as blocks that stay in a core's cache;
- `one_pass`: counts, moments by channel, quantiles, classes and a fingerprint, two threads at work on each block.
"""
