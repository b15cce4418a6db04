"""Runs the encoder: `python -m reelay.encoder`."""

from reelay.common.service import run
from reelay.encoder.bootstrap import main
from reelay.encoder.settings import EncoderSettings

run("encoder", EncoderSettings, main, starts_programs=True)
