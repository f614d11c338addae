"""Scores of predictions against targets: NumPy and scikit-learn, no Keras.

`tasks` decides what an output is (binary, multi-class, multi-label, regression), `elements` puts targets, predictions
and weights into one form, `classes` (of `choices`), `labels` and `columns` score it, with the parts `probabilities`,
`metrics`, `calibration`, `ranking` and `bootstrap` (of `statistics`). `scores.score_output` is the way in. scikit-learn
is imported only when something is scored.
"""
