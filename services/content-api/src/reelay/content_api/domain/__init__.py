"""What is promised, named and asked for; no I/O."""
