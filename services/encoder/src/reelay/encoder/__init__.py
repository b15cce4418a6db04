"""Encodes chunks of a video with FFmpeg."""
