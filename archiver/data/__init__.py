"""Feeding Keras: data sets that can be repeated exactly."""

from archiver.data.batches import array_batches

__all__ = ["array_batches"]
