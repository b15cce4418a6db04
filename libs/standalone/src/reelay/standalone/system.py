"""The whole system on one machine: every program, what it is told, and what it waits for."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from signal import SIGINT
from typing import Protocol

from reelay.standalone import gateway, loglines, nats, postgres, probes
from reelay.standalone.children import Child, Tier, inherited_environment
from reelay.standalone.endpoints import LOOPBACK, Endpoint
from reelay.standalone.programs import Programs
from reelay.standalone.secret import instance_secret, write_private
from reelay.standalone.services import Service
from reelay.standalone.settings import Settings

SUPERVISOR = "supervisor"
COMPANIONS = ("nats", "postgres", SUPERVISOR)


class Ports(Protocol):
    """The internal port of each name."""

    def __getitem__(self, name: str) -> int: ...


def port_names(services: Sequence[Service]) -> list[str]:
    return [*COMPANIONS, *(service.name for service in services)]


def children(
    settings: Settings, programs: Programs, ports: Ports, secret: str, listener: int,
    services: Sequence[Service],
) -> tuple[Child, ...]:  # fmt: skip
    """Return everything that runs; `listener` is the descriptor of the gateway's open socket."""
    basic = inherited_environment()
    values = {
        "nats_url": nats.url(settings.nats_host, ports["nats"], secret),
        "store_url": settings.store_url,
        "database_url": postgres.url(ports["postgres"], secret, "{database}"),
        "admin_token": str(settings.admin_token),
        "public_url": settings.public_url or settings.url,
        **{name: str(path) for name, path in asdict(programs).items()},
    }
    return (
        _postgres(settings, programs, ports["postgres"], secret, services),
        _nats(settings, programs, ports["nats"], secret),
        *(
            Child(
                name=service.name,
                tier=Tier.SERVICES,
                command=service.argv,
                environment=basic | service.environment(values, ports[service.name]),
                is_ready=partial(probes.http_ready, ports[service.name]),
                after=("nats", "postgres") if service.has_database else ("nats",),
            )
            for service in services
        ),
        _caddy(settings, programs, ports, listener, services),
    )


def _postgres(
    settings: Settings, programs: Programs, port: int, secret: str, services: Sequence[Service]
) -> Child:
    names = [service.database for service in services if service.has_database]
    folder, basic = programs.postgres, inherited_environment()
    return Child(
        name="postgres",
        tier=Tier.DATABASE,
        command=postgres.command(folder, settings.postgres, port),
        environment=basic,
        prepare=partial(postgres.make_cluster, folder, settings.postgres, secret),
        is_ready=partial(probes.postgres_ready, port, postgres.USER),
        complete=partial(postgres.create_databases, folder, port, secret, names, basic),
        launch=postgres.launch,
        stop_signal=SIGINT,  # Fast shutdown; SIGTERM would wait for every client.
        death_signal=SIGINT,
        works_in=settings.postgres,
        parse=loglines.postgres,
    )


def _nats(settings: Settings, programs: Programs, port: int, secret: str) -> Child:
    listen = settings.nats_listen or Endpoint(LOOPBACK, port)
    passwords = {
        nats.USER: secret,
        nats.ENCODER_USER: instance_secret(settings.encoder_secret),
    }
    text = nats.configuration(settings.nats, listen, passwords)
    path = write_private(settings.run / "nats.conf", text)
    return Child(
        name="nats",
        tier=Tier.MESSAGING,
        command=(str(programs.nats_server), "--config", str(path)),
        environment=inherited_environment(),
        is_ready=partial(probes.nats_ready, settings.nats_host, port),
        stop_within_s=5,
        parse=loglines.nats,
    )


def _caddy(
    settings: Settings, programs: Programs, ports: Ports, listener: int, services: Sequence[Service]
) -> Child:
    routes: list[gateway.Route] = [(("/healthz", "/readyz"), ports[SUPERVISOR])]
    routes += [(service.paths, ports[service.name]) for service in services if service.paths]
    text = gateway.configuration(listener, routes, settings.trusted_proxies)
    path = write_private(settings.run / "Caddyfile", text)
    home = str(settings.run / "caddy")
    return Child(
        name="caddy",
        tier=Tier.GATEWAY,
        command=(
            str(programs.caddy), "run", "--config", str(path), "--adapter", "caddyfile",
        ),
        environment=inherited_environment()
        | {"HOME": home, "XDG_CONFIG_HOME": home, "XDG_DATA_HOME": home},
        is_ready=partial(probes.http_ready, settings.port, "/healthz"),
        keeps_fds=(listener,),
        stop_within_s=5,
    )  # fmt: skip
