"""Runs the catalog: `python -m reelay.catalog`."""

from reelay.catalog.bootstrap import main
from reelay.catalog.settings import Settings
from reelay.common.service import run

if __name__ == "__main__":
    run("catalog", Settings, main)
