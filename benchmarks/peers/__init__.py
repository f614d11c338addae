"""Other people's tools that log a Keras training: called as their documentation says, in environments of their own."""
