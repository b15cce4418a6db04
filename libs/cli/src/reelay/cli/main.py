"""The command `reelay`: what it is called with. Modules that take long to import come when used."""

import json
import sys
from enum import StrEnum
from typing import Annotated

import typer

from reelay.cli.encoder_commands import encoder_environment
from reelay.cli.errors import complain
from reelay.cli.letters_commands import letters
from reelay.cli.publish_commands import publish
from reelay.cli.upkeep_commands import gc, verify
from reelay.common.errors import ReelayError

app = typer.Typer(
    help="Turns video files into packages that can be watched a second after the upload.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Without rich, which would double the time that --help takes.
    rich_markup_mode=None,
)
app.add_typer(letters, name="dead-letters")


class LogFormat(StrEnum):
    """Form of log lines."""

    TEXT = "text"
    JSON = "json"


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def run() -> None:
    """Entry point: one sentence on standard error and exit code 1 for what goes wrong."""
    try:
        app()
    except ReelayError as error:
        complain(error.detail)
        sys.exit(1)


@app.command()
def up(
    log_format: Annotated[LogFormat, typer.Option(help="Form of log lines.")] = LogFormat.TEXT,
) -> None:
    """Run all of Reelay on this machine until Ctrl-C (REELAY_PORT, REELAY_DATA, …)."""
    from reelay.standalone import up as standalone
    from reelay.standalone.settings import Settings

    raise typer.Exit(standalone.run(Settings.from_environment(), log_format=log_format.value))


app.command()(publish)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show the services of the instance in REELAY_DATA; exit code 1 unless all are ready."""
    from reelay.cli import status as asking
    from reelay.cli.environment import data_directory

    try:
        instance = asking.find_instance(data_directory())
    except ReelayError:
        if as_json:
            typer.echo(json.dumps({"services": {}}))
        raise
    services = asking.ask_services(instance)
    as_text = json.dumps(asking.as_json(services)) if as_json else None
    typer.echo(as_text or asking.as_table(instance, services))
    raise typer.Exit(0 if all(one.ready for one in services) else 1)


@app.command()
def watch(
    identity: Annotated[
        str | None,
        typer.Argument(
            metavar="ID", show_default="the newest video", help="Of a video or package."
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on when it is complete.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for each change.")] = False,
) -> None:
    """Show a package being made, as a live map; exit code 1 when it fails."""
    from reelay.cli.watch import run
    from reelay.standalone.settings import Settings

    raise typer.Exit(run(Settings.from_environment(), identity, follow=follow, as_json=as_json))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check whether this machine can run Reelay; exit code 1 when something needed is missing."""
    from dataclasses import asdict

    from reelay.cli.doctor import examine
    from reelay.standalone.settings import Settings

    findings = examine(Settings.from_environment())
    healthy = all(finding.ok or not finding.required for finding in findings)
    if as_json:
        checks = [asdict(finding) for finding in findings]
        typer.echo(json.dumps({"ok": healthy, "checks": checks}))
    else:
        for finding in findings:
            mark = "ok" if finding.ok else "MISSING" if finding.required else "note"
            typer.echo(f"{mark:<8}{finding.name}: {finding.detail}")
            if not finding.ok:
                typer.echo(f"        -> {finding.remedy}")
    raise typer.Exit(0 if healthy else 1)


app.command()(verify)
app.command()(gc)
app.command()(encoder_environment)
