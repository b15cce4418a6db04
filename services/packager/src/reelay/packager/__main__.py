"""Runs the packager: `python -m reelay.packager`."""

from reelay.common.service import run
from reelay.packager.bootstrap import main
from reelay.packager.settings import PackagerSettings

if __name__ == "__main__":
    settings = PackagerSettings()
    run("packager", settings, lambda: main(settings), starts_programs=True)
