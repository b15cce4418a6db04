"""Schema changes of the upload service."""
