"""What is claimed, measured, beside its comparison partner in the same run."""
