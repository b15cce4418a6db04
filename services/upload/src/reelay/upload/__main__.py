"""Runs the upload service: `python -m reelay.upload`."""

from reelay.common.service import run
from reelay.upload.bootstrap import main
from reelay.upload.settings import UploadSettings

run("upload", UploadSettings, main)
