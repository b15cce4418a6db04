"""A real S3 server for tests: SeaweedFS from its PyPI wheel or its image, on loopback."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import urllib3
from minio import Minio
from minio.error import MinioException

from reelay.common.testing.servers import BACKEND, Program, free_port, is_free, wait_until

ACCESS_KEY = "reelay-test"
SECRET_KEY = "reelay-test-secret"  # noqa: S105 (a server of the test's own, on loopback)
USER = f"{ACCESS_KEY}:{SECRET_KEY}"
LISTENERS = ("master", "volume", "filer", "s3")
ADMIN_GRPC_OFFSET = 10_000
"""SeaweedFS's own worker looks for the admin server here, whatever the flag says."""


@contextmanager
def start_seaweedfs(directory: Path) -> Iterator[str]:
    """Run SeaweedFS on data in `directory`; give the store URL of a new bucket, then end it.

    Several can run at the same time. The server dies with this process.
    """
    with seaweedfs_server(directory) as program:
        yield fresh_bucket_url(program)


@contextmanager
def seaweedfs_server(directory: Path) -> Iterator[Program]:
    """Run SeaweedFS; `url` of the program names no bucket (see fresh_bucket_url)."""
    directory.mkdir(parents=True, exist_ok=True)
    identities = directory / "seaweedfs-identities.json"
    identities.write_text(json.dumps(_identities()))
    if BACKEND == "containers":
        from reelay.common.testing.containers import seaweedfs_container

        with seaweedfs_container(identities, f"s3://{USER}@127.0.0.1:{{port}}") as program:
            wait_until(lambda: _answers(program.port), "SeaweedFS answers")
            yield program
        return
    data = directory / "seaweedfs"
    data.mkdir(exist_ok=True)
    ports = _free_ports()
    binary = Path(sys.executable).parent / "weed"
    argv = [
        str(binary),
        "mini",
        f"-dir={data}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-s3.config={identities}",
        "-webdav=false",
        "-admin.ui=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]
    port = ports["s3.port"]
    url = f"s3://{USER}@127.0.0.1:{port}"
    program = Program(argv, port, url, directory / "seaweedfs.log")
    program.start()
    try:
        wait_until(lambda: _answers(port), "SeaweedFS answers")
        yield program
    finally:
        program.kill()
        _remove_sockets(ports)


def fresh_bucket_url(program: Program) -> str:
    """Return the store URL of a bucket that nobody else uses; the store makes it."""
    return f"{program.url}/test-{uuid4().hex}"


def _identities() -> dict[str, object]:
    credentials = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
    return {"identities": [{"name": "test", "credentials": credentials, "actions": ["Admin"]}]}


def _answers(port: int) -> bool:
    """Tell whether a signed request succeeds."""
    connections = urllib3.PoolManager(retries=False, timeout=2)
    client = Minio(
        f"127.0.0.1:{port}", ACCESS_KEY, SECRET_KEY, secure=False, http_client=connections
    )
    try:
        client.list_buckets()
    except (MinioException, urllib3.exceptions.HTTPError):
        return False
    return True


def _remove_sockets(ports: dict[str, int]) -> None:
    """Remove the sockets that a killed SeaweedFS leaves; their folder is fixed in the program."""
    for port in ports.values():
        for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108 (not our choice)
            path.unlink(missing_ok=True)


def _free_ports() -> dict[str, int]:
    """Return a free loopback port for every listener."""
    ports = {f"{name}.port{kind}": free_port() for name in LISTENERS for kind in ("", ".grpc")}
    while not is_free((admin := free_port()) + ADMIN_GRPC_OFFSET):
        pass
    return ports | {"admin.port": admin, "admin.port.grpc": admin + ADMIN_GRPC_OFFSET}
