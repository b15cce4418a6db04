"""What a database that is away raises, for services that may have none."""

import sys


def database_outages() -> tuple[type[Exception], ...]:
    """Return SQLAlchemy's errors that mean: wait for the server; none while it is not loaded.

    Loading it takes 18 MiB, and only who has loaded it can raise them: ask when one was raised.
    """
    errors = sys.modules.get("sqlalchemy.exc")
    if errors is None:
        return ()
    return (errors.OperationalError, errors.InterfaceError, errors.TimeoutError)
