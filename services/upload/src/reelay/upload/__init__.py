"""Takes files in."""
