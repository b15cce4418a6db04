"""Live updates: every change of a video, in order, to every client that listens."""
