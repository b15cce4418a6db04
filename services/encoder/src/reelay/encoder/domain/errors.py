"""What can go wrong with FFmpeg itself."""

from reelay.common.errors import TransientError


class FFmpegFailedError(TransientError):
    """FFmpeg ended without the planned segments."""

    def __init__(self, detail: str, log_tail: str) -> None:
        super().__init__(detail)
        self.log_tail = log_tail
        """Last lines of FFmpeg's log."""


class FFmpegHungError(FFmpegFailedError):
    """FFmpeg worked longer than allowed, or made nothing for too long."""
