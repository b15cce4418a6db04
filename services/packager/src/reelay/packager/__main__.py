"""Runs the packager: `python -m reelay.packager`."""

from reelay.common.service import run
from reelay.packager.bootstrap import main
from reelay.packager.settings import PackagerSettings

if __name__ == "__main__":
    run("packager", PackagerSettings, main, starts_programs=True)
