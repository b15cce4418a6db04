"""Plans a video, dispatches its encoding and packages its segments."""
