"""The command `reelay publish`: what it is called with."""

import asyncio
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reelay.cli.errors import complain
from reelay.cli.names import readable
from reelay.cli.server_options import Server, Token, find_server
from reelay.common.errors import ReelayError

if TYPE_CHECKING:
    from reelay.cli.api import Api
    from reelay.cli.publish import Publisher
    from reelay.cli.report import Report

INTERRUPTED = 130


class Visibility(StrEnum):
    """Who may see a video."""

    PUBLIC = "public"
    UNLISTED = "unlisted"
    PRIVATE = "private"


Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Video files.")]
Title = Annotated[str | None, typer.Option(help="Instead of the file's name.")]
Shown = Annotated[
    Visibility | None,
    typer.Option(help="Who may see it: all, who has the link, or you.", show_default="public"),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object a line for every step.")
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Return when the video can be watched.")]


def publish(
    files: Files,
    title: Title = None,
    visibility: Shown = None,
    server: Server = None,
    token: Token = None,
    as_json: AsJson = False,
    no_wait: NoWait = False,
) -> None:
    """Upload video files and watch until they are ready."""
    if title is not None and len(files) > 1:
        raise typer.BadParameter("is for one file", param_hint="--title")
    address, secret = find_server(server, token)

    from reelay.cli.api import Api
    from reelay.cli.environment import state_directory
    from reelay.cli.publish import Publisher
    from reelay.cli.remembered import RememberedUploads

    api, report = Api(address, secret), _choose_report(as_json)
    remembered = RememberedUploads(state_directory() / "uploads.json")
    shown = visibility.value if visibility else None
    publisher = Publisher(api, remembered, report, wait=not no_wait, visibility=shown)
    raise typer.Exit(_run(publisher, api, report, files, title))


def _run(
    publisher: "Publisher", api: "Api", report: "Report", files: Sequence[Path], title: str | None
) -> int:
    """Publish until all is done or somebody leaves; return the exit code."""
    from reelay.cli.publish import how_to_go_on

    try:
        return asyncio.run(_publish_each(publisher, api, files, title))
    except KeyboardInterrupt:
        report.close()
        complain(how_to_go_on(publisher.stage, api.server))
        return INTERRUPTED
    finally:
        report.close()


async def _publish_each(
    publisher: "Publisher", api: "Api", files: Sequence[Path], title: str | None
) -> int:
    """Publish each file, whatever becomes of the others; return the exit code."""
    failed = False
    try:
        for path in files:
            try:
                await publisher.publish(path, title)
            except ReelayError as error:
                failed = True
                named = readable(str(path)) in error.detail or len(files) == 1
                complain(error.detail if named else f"{path}: {error.detail}")
    finally:
        await api.close()
    return 1 if failed else 0


def _choose_report(as_json: bool) -> "Report":
    from reelay.cli.report import JsonReport, PlainReport

    if as_json:
        return JsonReport()
    if not sys.stdout.isatty():
        return PlainReport()
    from rich.console import Console

    from reelay.cli.bars import BarReport

    return BarReport(Console())
