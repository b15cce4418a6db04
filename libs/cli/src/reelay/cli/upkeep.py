"""Asks the services to collect or to verify, and says what they answer line by line."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

from reelay.cli import quantities
from reelay.cli.api import Api
from reelay.cli.errors import CommandError

IN_HAND = ("restored", "encoding", "replaced")
DOING = {
    "restored": "restored",
    "encoding": "being encoded again; verify it again when that is done",
    "replaced": "replaced by a new package, as its bytes cannot be made again",
}
SILENCE_S = 600.0
"""Hashing one package of many hours takes minutes, in which nothing is said."""

Finding = dict[str, Any]


class CutShortError(CommandError):
    """The server stopped in the middle; run the command again."""


class UnknownNamesError(CommandError):
    """There is no complete package and no source of such a name."""


def collect(server: str, token: str, *, dry_run: bool, grace_s: float | None, as_json: bool) -> int:
    """Run a collection; return the exit code."""
    order = {"dry_run": dry_run, "grace_s": grace_s}
    size_bytes = count = 0

    def say(finding: Finding) -> None:
        nonlocal size_bytes, count
        size_bytes, count = size_bytes + finding["size_bytes"], count + 1
        done = "removed" if finding["removed"] else "would be removed"
        size = quantities.size(finding["size_bytes"])
        _say(finding, as_json, f"{finding['kind']} {finding['name']}: {done} ({size})")

    asyncio.run(_ask(server, token, ("packages/gc", "sources/gc"), order, say))
    if not as_json:
        verb = "would be freed" if dry_run else "freed"
        print(f"{count} removals, {quantities.size(size_bytes)} {verb}.")  # noqa: T201
    return 0


def examine(server: str, token: str, names: list[str], *, repair: bool, as_json: bool) -> int:
    """Run a verification; return the exit code. Raises UnknownNamesError after all is said."""
    order = {"names": names, "repair": repair}
    count = damaged = failed = 0
    unknown = dict.fromkeys(names)

    def say(finding: Finding) -> None:
        nonlocal count, damaged, failed
        count += 1
        unknown.pop(finding["name"], None)
        damaged += bool(finding["damaged"])
        failed += bool(finding["damaged"]) and finding["repair"] not in IN_HAND
        _say(finding, as_json, _in_words(finding))

    asyncio.run(_ask(server, token, ("sources/verify", "packages/verify"), order, say))
    if not as_json:
        print(f"{count} verified, {damaged} damaged.")  # noqa: T201
    if unknown:
        raise UnknownNamesError(
            f"There is no complete package and no source of this name: {', '.join(unknown)}"
        )
    return 1 if failed else 0


def _in_words(finding: Finding) -> str:
    about = f"{finding['kind']} {finding['name']}"
    if not finding["damaged"]:
        size = quantities.size(finding["size_bytes"])
        return f"{about}: whole ({finding['objects']} objects, {size})"
    lines = [f"{about}: damaged"]
    lines += [f"  {damage['path']} {damage['problem']}" for damage in finding["damaged"]]
    if finding["repair"]:
        lines.append(f"  -> {DOING.get(finding['repair'], finding['repair'])}")
    return "\n".join(lines)


def _say(finding: Finding, as_json: bool, words: str) -> None:
    print(json.dumps(finding) if as_json else words, flush=True)  # noqa: T201


async def _ask(
    server: str,
    token: str,
    paths: tuple[str, ...],
    order: dict[str, Any],
    say: Callable[[Finding], None],
) -> None:
    api = Api(server, token)
    api.http.timeout = httpx.Timeout(SILENCE_S, connect=10)
    try:
        for path in paths:
            async for finding in _findings(api, path, order):
                say(finding)
    finally:
        await api.close()


async def _findings(api: Api, path: str, order: dict[str, Any]) -> AsyncIterator[Finding]:
    """Yield what one service says; raises CutShortError unless it came to its end."""
    last: Finding = {}
    async for line in api.lines(f"{api.server}/api/v1/{path}", order):
        last = json.loads(line)
        if last["kind"] != "end":
            yield last
    if last.get("kind") != "end":
        raise CutShortError
    if "error" in last:
        raise CutShortError(str(last["error"]))
