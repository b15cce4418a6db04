"""Which packages not everybody may fetch: derived from their videos, told to those who serve."""
