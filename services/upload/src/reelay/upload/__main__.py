"""Runs the upload service: `python -m reelay.upload`."""

from reelay.common.service import run
from reelay.upload.bootstrap import main
from reelay.upload.settings import UploadSettings

settings = UploadSettings()
run("upload", settings, lambda: main(settings))
