"""Fixtures for tests that talk to real servers."""
