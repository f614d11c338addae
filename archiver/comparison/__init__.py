"""Two runs side by side: `archiver.compare`, `archiver diff`, and the verdict of `archiver reproduce`.

- `differences`: what a comparison is made of: causes with their rank, gaps.
- `facts`: facts of a record, and which of them differ.
- `data_causes`, `training_causes`, `determinism_causes`, `model_causes`, `package_causes`, `system_causes`, `code`: the
  inputs, a module per subject; `causes` puts them in order.
- `curves`, `steps`, `evaluations`, `weights` (with `distances`): the effects.
- `verdicts`: identical, equivalent, diverged, or not comparable. `comparing` puts all together.

Archives come from strangers: nothing is run, followed or read without a bound, and a broken record is a gap.
"""
