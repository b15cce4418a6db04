"""The rules of an upload, without I/O."""
