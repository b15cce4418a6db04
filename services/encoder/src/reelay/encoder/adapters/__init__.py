"""FFmpeg, its sources and its providers."""
