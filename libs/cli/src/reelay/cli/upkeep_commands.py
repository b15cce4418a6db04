"""The commands `reelay gc` and `reelay verify`: what they are called with."""

from typing import Annotated

import typer

from reelay.cli.server_options import Server, Token, find_server

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]


def gc(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be removed.")
    ] = False,
    grace_hours: Annotated[
        float | None,
        typer.Option(
            min=0,
            show_default="as the services are set: 7 days",
            help="Spare what was needed so recently.",
        ),
    ] = None,
    as_json: AsJson = False,
    server: Server = None,
    token: Token = None,
) -> None:
    """Remove what no video needs any more: packages, sources, leftovers of crashes."""
    from reelay.cli.upkeep import collect

    address, secret = find_server(server, token)
    grace_s = None if grace_hours is None else grace_hours * 3600
    raise typer.Exit(collect(address, secret, dry_run=dry_run, grace_s=grace_s, as_json=as_json))


def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID...", help="Packages or assets; all without."),
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Make damaged objects of packages again.")
    ] = False,
    as_json: AsJson = False,
    server: Server = None,
    token: Token = None,
) -> None:
    """Read and hash everything that is stored again; exit code 1 when something is damaged.

    With --repair, exit code 1 only when something cannot be repaired.
    """
    from reelay.cli.upkeep import examine

    address, secret = find_server(server, token)
    raise typer.Exit(examine(address, secret, names or [], repair=repair, as_json=as_json))
