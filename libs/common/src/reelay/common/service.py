"""Runs a service: one asyncio process that starts its parts in order and stops them in reverse."""

import asyncio
import contextlib
import gc
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

import structlog
import uvloop
from pydantic import ValidationError
from pydantic_settings import SettingsError

from reelay.common.errors import SetupError
from reelay.common.settings import ServiceSettings
from reelay.common.tasks import end
from reelay.common.telemetry import configure_logging, configure_tracing

S = TypeVar("S", bound=ServiceSettings)

log = structlog.get_logger()


def run(
    name: str,
    settings_class: type[S],
    main: Callable[[S], Coroutine[Any, Any, None]],
    *,
    starts_programs: bool = False,
) -> None:
    """Configure logs and tracing for the service `name`, and run `main` to its end.

    Settings that are missing, wrong or refused end it with exit status 1 and a word on each.

    A service that `starts_programs` runs on asyncio's own loop: that one starts a program by vfork
    within 1 ms, while uvloop forks and stands still for 9 ms in a process of 150 MB.

    The garbage collector never again looks at what was imported: that held the loop for 90 ms.
    """
    settings = _read(name, settings_class)
    configure_logging(name, settings.log_format, settings.log_level)
    configure_tracing(name, settings.otlp_endpoint)
    gc.collect()
    gc.freeze()
    try:
        (asyncio.run if starts_programs else uvloop.run)(main(settings))
    except SetupError as error:
        log.critical("cannot start", reason=error.detail)
        sys.exit(1)


def _read(name: str, settings_class: type[S]) -> S:
    """Return settings; exit where the environment has none that do, without a word of values."""
    try:
        return settings_class()
    except ValidationError as error:
        prefix = settings_class.model_config.get("env_prefix", "")
        lines = [f"{name} cannot start:"]
        for each in error.errors():
            field = str(each["loc"][0]) if each["loc"] else ""
            known = settings_class.model_fields.get(field)
            # What our own validators say may quote the value.
            what = "cannot be used" if each["type"] == "value_error" else each["msg"]
            purpose = f" ({known.description})" if known and known.description else ""
            lines.append(f"  {prefix}{field.upper()}: {what}{purpose}")
        sys.exit("\n".join(lines))
    except SettingsError as error:  # no JSON where there must be
        sys.exit(f"{name} cannot start: {error}")


@contextlib.asynccontextmanager
async def background(*endless: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run endless coroutines beside the block; if one ends or fails, the process ends with it."""
    process = asyncio.current_task()
    assert process is not None
    tasks = [asyncio.create_task(work) for work in endless]

    def on_done(task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            log.critical("a background task ended", task=repr(task), exc_info=task.exception())
            process.cancel()

    for task in tasks:
        task.add_done_callback(on_done)
    try:
        yield
    finally:
        for task in tasks:
            task.remove_done_callback(on_done)
        await end(*tasks)
