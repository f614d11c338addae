"""A saved run: opening it, reading it typed, telling its status, verifying it. No Keras in here."""
