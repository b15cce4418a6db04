"""Imports nats-py without aiohttp, which it takes along for WebSockets: 15 MB and 0.14 s a service.

To be imported before anything else that imports nats. Nothing here speaks to NATS by WebSockets.
"""

import sys

if "aiohttp" not in sys.modules:
    sys.modules["aiohttp"] = None  # type: ignore[assignment]  # "import of aiohttp halted"
    try:
        import nats.aio.transport  # noqa: F401  # it notes for good that there is none
    finally:
        del sys.modules["aiohttp"]
