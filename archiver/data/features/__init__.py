"""Features of windows, computed once for the original data and read as windows themselves.

- `signals`: what can be computed of signals: statistics, band powers, the shape of the spectrum.
- `records`: what stands beside the features: which they are, and which batches are done.
- `files`: `FeatureFile`, the features on disk.
- `extraction`: `extract_features`, batch by batch, which goes on where a killed one ended.
"""
