"""What a command tells a person when it cannot go on: one sentence, and exit code 1."""

import typer

from reelay.cli.names import readable
from reelay.common.errors import ReelayError


def complain(sentence: str) -> None:
    """Write one sentence to standard error."""
    typer.echo(f"reelay: {readable(' '.join(sentence.split()))}", err=True)


class CommandError(ReelayError):
    """The command cannot go on."""


class FileUnusableError(CommandError):
    """This cannot be uploaded: it is no file, cannot be read, or holds nothing."""


class TokenMissingError(CommandError):
    """No token is known for this server; pass --token or set REELAY_TOKEN."""


class TokenRefusedError(CommandError):
    """The server does not accept the token."""


class ServerUnreachableError(CommandError):
    """The server does not answer."""


class ServerRefusedError(CommandError):
    """The server does not do what it was asked to."""

    def __init__(self, detail: str, status: int) -> None:
        super().__init__(detail)
        self.status = status
        """HTTP status of the answer."""


class UploadGoneError(CommandError):
    """The server no longer knows this upload."""


class VideoFailedError(CommandError):
    """The server cannot make a package of this video."""


class InstanceMissingError(CommandError):
    """No Reelay runs on this data directory; start one with `reelay up`."""
