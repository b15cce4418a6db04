"""PostgreSQL from its wheel: made once, run as an ordinary child, also by root."""

import asyncio
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from signal import SIGKILL, Signals

from reelay.common import child as launcher
from reelay.common.errors import PermanentError
from reelay.standalone.secret import write_private

USER = "reelay"
MAJOR = "18"
DROP_ROOT = (
    "--clear-groups", "--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override",
    "--bounding-set=-all,+dac_override",
)  # fmt: skip


class PostgresError(PermanentError):
    """PostgreSQL cannot be set up in the data directory."""


def url(port: int, password: str, database: str) -> str:
    return f"postgresql://{USER}:{password}@127.0.0.1:{port}/{database}"


def command(programs: Path, data: Path, port: int) -> tuple[str, ...]:
    """Return the server's command line; it listens on loopback only and asks for a password."""
    options = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": "200",
        "log_timezone": "UTC",
        "timezone": "UTC",
        "log_line_prefix": "",
    }
    arguments = (f"--{name}={value}" for name, value in options.items())
    return (str(programs / "postgres"), "-D", str(data), *arguments)


def launch(argv: tuple[str, ...], death_signal: Signals) -> list[str]:
    """Return a command line that runs one of PostgreSQL's programs, which all refuse root."""
    if os.geteuid() != 0 or _may_make_user_namespace():
        return launcher.command(argv, death_signal=death_signal, unprivileged=True)
    user = _ordinary_user()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise PostgresError(
            "PostgreSQL refuses root, and this machine allows neither user namespaces nor has"
            " setpriv (package util-linux); run `make up` as an ordinary user."
        )
    who = (f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}")
    death = f"--pdeathsig={death_signal.name.removeprefix('SIG')}"
    return [setpriv, *who, *DROP_ROOT, death, "--", *argv]


async def make_cluster(programs: Path, data: Path, password: str) -> None:
    """Create the data directory once; an interrupted attempt leaves nothing that counts.

    Raises PostgresError when that fails or the data are of another version.
    """
    if _is_made(data):
        return
    new, secret = _empty_folder(data), data.with_name(data.name + ".password")
    try:
        write_private(secret, password)
        await _initdb(programs, new, secret)
    finally:
        secret.unlink(missing_ok=True)
    new.replace(data)


def _is_made(data: Path) -> bool:
    """Tell whether the data directory exists, and see to it that the server will take it."""
    if not data.exists():
        return False
    _check_version(data)
    _own(data)
    # The caller knows that nobody runs in there; the pid in it may be somebody else's by now.
    (data / "postmaster.pid").unlink(missing_ok=True)
    return True


def _empty_folder(data: Path) -> Path:
    new = data.with_name(data.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    _own(new)
    return new


async def _initdb(programs: Path, new: Path, secret: Path) -> None:
    argv = (
        str(programs / "initdb"), "-D", str(new), "-U", USER, f"--pwfile={secret}",
        "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
    )  # fmt: skip
    await _run(launch(argv, SIGKILL), {"PATH": os.defpath}, "")


async def create_databases(
    programs: Path, port: int, password: str, names: Iterable[str], environment: Mapping[str, str]
) -> None:
    """Create the databases that do not exist yet."""
    script = "".join(
        f"SELECT 'CREATE DATABASE {name}' WHERE NOT EXISTS"  # noqa: S608 - names are ours
        f" (SELECT FROM pg_database WHERE datname = '{name}') \\gexec\n"
        for name in names
    )
    psql = [str(programs / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"]
    argv = [*psql, "-p", str(port), "-U", USER, "-d", "postgres"]
    await _run(argv, {**environment, "PGPASSWORD": password}, script)


async def _run(argv: list[str], environment: Mapping[str, str], script: str) -> None:
    """Run one of PostgreSQL's programs to its end; raise PostgresError with what it says."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = await process.communicate(script.encode())
    finally:
        if process.returncode is None:
            os.killpg(process.pid, SIGKILL)
    if process.returncode != 0:
        said = output.decode(errors="replace").strip()[-800:]
        raise PostgresError(f"PostgreSQL cannot be set up: {said}")


@cache
def _may_make_user_namespace() -> bool:
    argv = launcher.command(
        [sys.executable, "-S", "-c", ""], death_signal=SIGKILL, unprivileged=True
    )
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def _ordinary_user() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresError("PostgreSQL refuses root, and there is no user `nobody` to run it as.")


def _own(data: Path) -> None:
    """Give the files to whoever the server will be; it accepts no other owner.

    The password file of initdb stays root's: the ordinary user keeps the right to read past
    permissions (CAP_DAC_OVERRIDE), which also lets it reach files under a private home.
    """
    if os.geteuid() != 0:
        return
    user = 0 if _may_make_user_namespace() else _ordinary_user().pw_uid
    if data.stat().st_uid == user:
        return
    for path in (data, *data.rglob("*")):
        os.chown(path, user, -1, follow_symlinks=False)


def _check_version(data: Path) -> None:
    version = (data / "PG_VERSION").read_text().strip()
    if version != MAJOR:
        raise PostgresError(
            f"{data} was written by PostgreSQL {version}; this Reelay has {MAJOR}. Dump it with"
            " the Reelay that wrote it, or choose another REELAY_DATA."
        )
