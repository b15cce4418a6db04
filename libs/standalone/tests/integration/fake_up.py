"""Runs `reelay up` with fake services on the real NATS, PostgreSQL and Caddy."""

import sys
from dataclasses import replace
from pathlib import Path

from reelay.standalone import up
from reelay.standalone.services import SERVICES
from reelay.standalone.settings import Settings

FAKE = str(Path(__file__).with_name("fake_service.py"))
services = [replace(s, command=(sys.executable, FAKE, s.name)) for s in SERVICES]
form = "json" if "json" in sys.argv else "text"
sys.exit(up.run(Settings.from_environment(), log_format=form, services=services))
