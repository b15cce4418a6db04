"""`reelay up`: all of Reelay on one machine, until Ctrl-C."""

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from reelay.common.errors import ReelayError
from reelay.standalone import instance, leftovers, stores
from reelay.standalone.children import Child
from reelay.standalone.console import Console, LogFormat
from reelay.standalone.endpoints import LOOPBACK
from reelay.standalone.loglines import Level
from reelay.standalone.ports import HeldPorts, listen_publicly
from reelay.standalone.programs import find_programs
from reelay.standalone.secret import instance_secret
from reelay.standalone.services import SERVICES, Service
from reelay.standalone.settings import Settings
from reelay.standalone.supervisor import Supervisor
from reelay.standalone.system import SUPERVISOR, children, port_names

INTERRUPTED = 130


def run(
    settings: Settings, *, log_format: LogFormat = "text", services: Sequence[Service] = SERVICES
) -> int:
    """Run everything in the foreground; return the exit status of the process.

    0 after SIGINT, SIGTERM or SIGHUP; 1, with a sentence on standard error, when it cannot start.
    Must be called in the main thread, whose death the children would notice.
    """
    try:
        with instance.claim(settings.data):
            ended = leftovers.clear(settings.data, settings.postgres)
            with listen_publicly(settings) as listener:
                _run_claimed(settings, log_format, services, listener, ended)
    except ReelayError as error:
        sys.stderr.write(f"reelay up: {error.detail}\n")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _run_claimed(
    settings: Settings, log_format: LogFormat, services: Sequence[Service],
    listener: socket.socket, ended: int,
) -> None:  # fmt: skip
    stores.settle(settings)
    for folder in (settings.nats, settings.logs):
        folder.mkdir(mode=0o700, exist_ok=True)
    programs = find_programs(settings.run / "bin")
    before = instance.read(settings.data)
    chosen = {"nats": settings.nats_listen} if settings.nats_listen else {}
    ports = HeldPorts(port_names(services), before.ports if before else {}, chosen)
    secret = instance_secret(settings.secret)
    table = children(settings, programs, ports, secret, listener.fileno(), services)
    instance.write(settings.data, _instance(settings, ports, services))
    console = Console(
        log_format, sys.stdout, settings.logs, [child.name for child in table],
        colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ,
    )  # fmt: skip
    try:
        console.say(f"starting in {settings.data}")
        if ended:
            console.say(f"cleared {ended} processes of an instance that was killed", Level.WARNING)
        _reap_in_the_main_thread()
        asyncio.run(_supervise(settings, table, console, ports, listener))
    finally:
        console.close()
        ports.release()


async def _supervise(
    settings: Settings, table: Sequence[Child], console: Console, ports: HeldPorts,
    listener: socket.socket,
) -> None:  # fmt: skip
    def announce() -> None:
        stores.remember(settings)
        console.say(f"Reelay is ready at {settings.url}", plain=True)
        for line in how_to(settings):
            console.say(line, plain=True)

    supervisor = Supervisor(table, console, settings.data)
    await supervisor.run(ports[SUPERVISOR], announce, listener.close)


def _reap_in_the_main_thread() -> None:
    """Let the event loop itself notice the end of children, so that no pid is reaped behind it.

    Python 3.12 does so by default; 3.11 starts a thread for each child.
    """
    if sys.version_info < (3, 12):
        try:
            os.close(os.pidfd_open(os.getpid()))
        except OSError:  # Sandboxes without pidfd_open(2).
            return
        asyncio.set_child_watcher(asyncio.PidfdChildWatcher())


def how_to(settings: Settings) -> list[str]:
    """Return the few lines that tell a newcomer what to do now."""
    command = shutil.which("reelay") or str(Path(sys.executable).with_name("reelay"))
    if shutil.which("reelay"):
        command = "reelay"
    elif Path(command).is_relative_to(Path.cwd()):
        command = str(Path(command).relative_to(Path.cwd()))
    if settings.data != Path(".reelay").resolve():
        command = f"REELAY_DATA={settings.data} {command}"
    more = [f"  add an encoder    {command} encoder-environment"] if settings.nats_listen else []
    return [
        f"  publish a video   {command} publish FILE",
        f"  see how it is     {command} status",
        *more,
        f"  logs              {settings.logs}",
        "  stop              Ctrl-C",
    ]


def _instance(
    settings: Settings, ports: HeldPorts, services: Sequence[Service]
) -> instance.Instance:
    return instance.Instance(
        pid=os.getpid(),
        started=instance.start_time(os.getpid()) or 0,
        url=settings.url,
        readiness_url=f"http://127.0.0.1:{ports[SUPERVISOR]}/readyz",
        services={service.name: f"http://127.0.0.1:{ports[service.name]}" for service in services},
        ports=ports.as_dict(),
        nats_listen=settings.nats_listen.host if settings.nats_listen else LOOPBACK,
    )
