"""The command `reelay`: what it is called with. Modules that take long to import come when used."""

import asyncio
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reelay.cli.encoder_commands import encoder_environment
from reelay.cli.letters_commands import letters
from reelay.cli.upkeep_commands import gc, verify
from reelay.common.errors import ReelayError

if TYPE_CHECKING:
    from reelay.cli.report import Report

INTERRUPTED = 130

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


class Visibility(StrEnum):
    """Who may see a video."""

    PUBLIC = "public"
    UNLISTED = "unlisted"
    PRIVATE = "private"


Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Video files.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def run() -> None:
    """Entry point: one sentence on standard error and exit code 1 for what goes wrong."""
    try:
        app()
    except ReelayError as error:
        complain(error.detail)
        sys.exit(1)


def complain(sentence: str) -> None:
    """Write one sentence to standard error."""
    typer.echo(f"reelay: {' '.join(sentence.split())}", err=True)


@app.command()
def up(
    log_format: Annotated[LogFormat, typer.Option(help="Form of log lines.")] = LogFormat.TEXT,
) -> None:
    """Run all of Reelay on this machine until Ctrl-C (REELAY_PORT, REELAY_DATA, …)."""
    from reelay.standalone import up as standalone
    from reelay.standalone.settings import Settings

    raise typer.Exit(standalone.run(Settings.from_environment(), log_format=log_format.value))


@app.command()
def publish(
    files: Files,
    title: Annotated[str | None, typer.Option(help="Instead of the file's name.")] = None,
    visibility: Annotated[
        Visibility | None,
        typer.Option(help="Who may see it: all, who has the link, or you.", show_default="public"),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(
            envvar="REELAY_SERVER",
            show_default="the instance on this machine",
            help="Address of the server.",
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="REELAY_TOKEN",
            show_default="admin-token in REELAY_DATA",
            help="Bearer token.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a line for every step.")
    ] = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Return when the video can be watched.")
    ] = False,
) -> None:
    """Upload video files and watch until they are ready."""
    from reelay.cli import environment

    if title is not None and len(files) > 1:
        raise typer.BadParameter("is for one file", param_hint="--title")
    try:
        address = environment.check_server(server or environment.default_server())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--server") from error
    secret = environment.find_token(address, token)
    shown = visibility.value if visibility else None
    raise typer.Exit(_publish(files, title, shown, address, secret, as_json, wait=not no_wait))


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


def _publish(
    files: list[Path],
    title: str | None,
    visibility: str | None,
    server: str,
    token: str,
    as_json: bool,
    *,
    wait: bool,
) -> int:
    """Publish each file, whatever becomes of the others; return the exit code."""
    from reelay.cli.api import Api
    from reelay.cli.environment import state_directory
    from reelay.cli.publish import Publisher, how_to_go_on
    from reelay.cli.remembered import RememberedUploads

    remembered = RememberedUploads(state_directory() / "uploads.json")
    report = _choose_report(as_json)
    publisher: Publisher | None = None

    async def publish_all() -> int:
        nonlocal publisher
        api = Api(server, token)
        publisher = Publisher(api, remembered, report, wait=wait, visibility=visibility)
        failures = 0
        try:
            for path in files:
                try:
                    await publisher.publish(path, title)
                except ReelayError as error:
                    failures += 1
                    about = "" if str(path) in error.detail or len(files) == 1 else f"{path}: "
                    complain(about + error.detail)
        finally:
            await api.close()
        return 1 if failures else 0

    try:
        return asyncio.run(publish_all())
    except KeyboardInterrupt:
        report.close()
        if publisher is not None:
            complain(how_to_go_on(publisher.stage, server))
        return INTERRUPTED
    finally:
        report.close()


def _choose_report(as_json: bool) -> "Report":
    from reelay.cli.report import JsonReport, PlainReport

    if as_json:
        return JsonReport()
    if not sys.stdout.isatty():
        return PlainReport()
    from rich.console import Console

    from reelay.cli.bars import BarReport

    return BarReport(Console())
