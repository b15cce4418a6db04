"""Hosts of content delivery networks, of which clients are told the healthy ones."""
