"""Runs the content API: `python -m reelay.content_api`."""

from reelay.common.service import run
from reelay.content_api.bootstrap import main
from reelay.content_api.settings import ContentApiSettings

if __name__ == "__main__":
    run("content-api", ContentApiSettings, main)
