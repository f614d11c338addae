"""Readings over time: samplers, the thread that asks them, traces, the memory monitor, the guard and cooling breaks.

From the bottom up:

- `arguments`, `kept`, `columns`: checks of arguments, descriptors that stay open, and what a column of a trace is.
- `peaks`: the true peak of resident memory between two moments.
- `process`, `children`, `system`, `container`, `gpus`, `temperature`, `backend`: the samplers. Each is made once, says
  in `columns` what it measures and in `unavailable` what it cannot and why, and is asked with `sample()`.
- `thread`: calls a function at a steady rate, beside the training.
- `thinning`, `traces`, `statistics`: files of bounded size, and summaries by phase.
- `recorder`: all of these together: what a training uses.
- `memory_sources`, `readings`, `cleaning`, `monitor`: `archiver.MemoryMonitor`, for any program.
- `guard`: notices within 20 ms that memory is running out. `cooling`: pauses until the machine has cooled down.

Nothing here needs Keras.
"""
