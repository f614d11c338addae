"""Other people's tools that log a Keras training, each called as its documentation says, in an environment of its own."""
