"""The command `reelay encoder-environment`: what an encoder on another machine must be told."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer


def encoder_environment(
    nats_host: Annotated[
        str,
        typer.Option(
            metavar="HOST",
            show_default="the address in REELAY_NATS_LISTEN",
            help="Name or address under which the encoder reaches NATS.",
        ),
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write it there, readable for you alone."),
    ] = None,
) -> None:
    """Print the settings, with passwords, by which an encoder elsewhere works for this instance."""
    from reelay.cli.environment import check_host
    from reelay.cli.errors import CommandError
    from reelay.standalone.secret import write_private

    try:
        host = check_host(nats_host) if nats_host else ""
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--nats-host") from error
    text, obstacles = _environment(host)
    for sentence in obstacles:
        typer.echo(f"note: {sentence}", err=True)
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        write_private(output, text)
    except OSError as error:
        raise CommandError(f"Cannot write {output}: {error.strerror}.") from error


def _environment(host: str) -> tuple[str, Sequence[str]]:
    """Return the settings as lines, and what keeps an encoder elsewhere from using them."""
    from reelay.cli.errors import InstanceMissingError
    from reelay.cli.status import find_instance
    from reelay.standalone import joining
    from reelay.standalone.settings import Settings

    settings = Settings.from_environment()
    instance = find_instance(settings.data)
    try:
        text = joining.as_lines(joining.environment(settings, instance, host))
        return text, joining.obstacles(settings, instance, host)
    except (OSError, KeyError) as error:
        raise InstanceMissingError(
            f"The instance in {settings.data} does not say how to reach it ({error})."
        ) from error
