"""`archiver repair`: a damaged archive made whole again in a new folder, as far as what is left proves what was there.

- `seals`: what the manifests say, also where they are damaged themselves.
- `workbench`: the new folder while it is worked on, and the one way into it: by the recorded digest.
- `bits`, `plain`, `documents`: proposals for files of any kind, for texts, for records that follow from others.
- `tensors`, `hdf5_files`, `legacy`, `zip_files`, `keras_writing`: proposals for model files, from each other.
- `rebuilding`: model files of the recorded tensors where their bytes cannot be had again.
- `making_whole`: all of it, in order.
"""

from archiver.repairing.making_whole import repair
from archiver.repairing.outcomes import Outcome, RepairReport

__all__ = ["Outcome", "RepairReport", "repair"]
