"""Schema changes of the packager."""
