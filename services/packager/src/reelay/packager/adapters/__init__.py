"""The world outside: FFmpeg, Shaka Packager, PostgreSQL."""
