"""Configuration of the NATS server."""

import json
from pathlib import Path

USER = "reelay"


def url(port: int, password: str) -> str:
    return f"nats://{USER}:{password}@127.0.0.1:{port}"


def configuration(store: Path, port: int, password: str) -> str:
    """Return the server's configuration file.

    `sync_interval: always` writes through to the disk before an acknowledgement; otherwise a power
    cut takes up to two minutes of acknowledged messages. Measured: 0.8 ms instead of 0.4 ms for a
    message, 2,600 a second instead of 15,000.
    """
    return f"""\
listen: "127.0.0.1:{port}"
server_name: reelay
jetstream {{
  store_dir: {json.dumps(str(store))}
  sync_interval: always
}}
authorization {{
  user: {USER}
  password: {json.dumps(password)}
}}
"""
