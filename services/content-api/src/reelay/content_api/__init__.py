"""Serves packages over HTTP."""
