"""Fixtures that every test may ask for."""

import signal

from hypothesis import settings

pytest_plugins = ["reelay.common.testing.plugin"]

# A shell that runs the tests in the background lets them ignore SIGINT, and programs that they
# start would inherit that: no test of Ctrl-C could succeed.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Time decides no test: a machine may be busy.
settings.register_profile("house", deadline=None)
settings.load_profile("house")
