"""The commands `reelay dead-letters …`: what they are called with."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from reelay.cli.dead_letters import DeadLetters

letters = typer.Typer(
    help="Messages that no handler could digest.", no_args_is_help=True, rich_markup_mode=None
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Numbers = Annotated[
    list[int] | None, typer.Argument(metavar="NUMBER...", help="As `list` shows them.")
]
All = Annotated[bool, typer.Option("--all", help="All of them.")]


@letters.command("list")
def list_letters(as_json: AsJson = False) -> None:
    """List all: number, age, handler, subject, reason."""

    async def show(box: "DeadLetters") -> None:
        count = 0
        async for letter in box.all():
            count += 1
            typer.echo(json.dumps(letter.as_json()) if as_json else letter.as_line())
        if not count and not as_json:
            typer.echo("There are no dead letters.")

    _with_letters(show)


@letters.command("show")
def show_letter(number: int) -> None:
    """Show one with its headers and body, as JSON."""

    async def show(box: "DeadLetters") -> None:
        typer.echo(json.dumps((await box.get(number)).as_json(), indent=2))

    _with_letters(show)


@letters.command("replay")
def replay_letters(numbers: Numbers = None, everything: All = False) -> None:
    """Publish the original messages again and remove the letters."""

    async def replay(box: "DeadLetters") -> None:
        for number in await _chosen(box, numbers):
            letter = (await box.replay(number)).letter
            typer.echo(f"{number}: published on {letter.original_subject} again")

    _check_choice(numbers, everything)
    _with_letters(replay)


@letters.command("drop")
def drop_letters(numbers: Numbers = None, everything: All = False) -> None:
    """Remove letters for good."""

    async def drop(box: "DeadLetters") -> None:
        for number in await _chosen(box, numbers):
            await box.drop(number)
            typer.echo(f"{number}: dropped")

    _check_choice(numbers, everything)
    _with_letters(drop)


def _check_choice(numbers: list[int] | None, everything: bool) -> None:
    if bool(numbers) == everything:
        raise typer.BadParameter("name letters by their numbers, or pass --all")


async def _chosen(box: "DeadLetters", numbers: list[int] | None) -> list[int]:
    return numbers or [letter.number async for letter in box.all()]


def _with_letters(work: "Callable[[DeadLetters], Coroutine[Any, Any, None]]") -> None:
    from reelay.cli.dead_letters import instance_url, open_dead_letters
    from reelay.standalone.settings import Settings

    async def connected(url: str) -> None:
        async with open_dead_letters(url) as box:
            await work(box)

    asyncio.run(connected(instance_url(Settings.from_environment())))
