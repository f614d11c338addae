"""The Keras side: watching `fit`, saving what it leaves, evaluating it."""
