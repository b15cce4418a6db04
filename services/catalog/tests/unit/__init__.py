"""Tests of the catalog's rules, without any server."""
