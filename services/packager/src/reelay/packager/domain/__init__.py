"""What a package consists of: pure rules, no I/O."""
