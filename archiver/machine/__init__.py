"""Where the kernel and the driver keep their numbers: the ground that `collect` and `sampling` share."""
