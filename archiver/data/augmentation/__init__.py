"""Windows changed at random, one batch at a time: NumPy only, the same again for the same seed, epoch and window.

- `streams`: random numbers by counting, so that those of any window can be had alone.
- `operation`, `masks`, `changes`, `mixing`: what can be done to windows.
- `augmentation`: several of them, one after the other.
"""
