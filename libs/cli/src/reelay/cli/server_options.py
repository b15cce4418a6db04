"""Which server a command speaks to, and with which token: its options, and what they mean."""

from typing import Annotated

import typer

Server = Annotated[
    str | None,
    typer.Option(
        envvar="REELAY_SERVER",
        show_default="the instance on this machine",
        help="Address of the server.",
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        envvar="REELAY_TOKEN", show_default="admin-token in REELAY_DATA", help="Bearer token."
    ),
]


def find_server(server: str | None, token: str | None) -> tuple[str, str]:
    """Return address and token; raises BadParameter for no address, TokenMissingError."""
    from reelay.cli import environment

    try:
        address = environment.check_server(server or environment.default_server())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--server") from error
    return address, environment.find_token(address, token)
