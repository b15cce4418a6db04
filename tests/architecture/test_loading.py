"""What a service loads before it knows that it needs it costs memory and time in every process."""

import subprocess
import sys

import pytest

WITH_A_DATABASE = ["upload", "catalog", "packager"]
WITHOUT = ["encoder", "content_api"]
ONLY_FOR_S3 = {"httptools", "minio"}


def loaded(service: str) -> set[str]:
    """Return the packages that a service has loaded when it begins to run."""
    code = (
        "import reelay.common.service, sys\n"
        f"import reelay.{service}.bootstrap\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("service", [*WITH_A_DATABASE, *WITHOUT])
def test_s3_clients_are_loaded_with_an_s3_store_only(service: str) -> None:
    assert not ONLY_FOR_S3 & loaded(service)


@pytest.mark.parametrize("service", WITHOUT)
def test_service_without_a_database_loads_no_client_of_one(service: str) -> None:
    assert not {"sqlalchemy", "psycopg", "alembic"} & loaded(service)
