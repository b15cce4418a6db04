"""Fuzzes a running service through its own OpenAPI document, by the program schemathesis.

It asks what lies at every limit of the document (its phase coverage), then drawn requests
(fuzzing), then goes on with what answers named (stateful). All runs make the same requests;
`REELAY_FUZZ_EXAMPLES=300` draws so many for each operation instead of a few, and
`REELAY_FUZZ_SEED=7` other ones.
"""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from reelay.common.testing import fuzzing_checks

EXAMPLES = os.environ.get("REELAY_FUZZ_EXAMPLES", "8")
SEED = os.environ.get("REELAY_FUZZ_SEED")
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ensure_resource_availability",
    "refusals_are_problems",
)
SETTINGS = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 409, 410, 412, 413, 415, 422, 423]
"""
"""412 says that a client speaks another version of tus, or none."""
ANSWER_TIMEOUT_S = 60


def fuzz(
    url: str,
    directory: Path,
    *,
    token: str | None = None,
    exclude: Sequence[str] = (),
    without: Sequence[str] = (),
) -> None:
    """Ask whatever a service's document allows, and what it does not.

    `exclude` are paths, as the document has them, `without` names of CHECKS; `directory` is one of
    the test's own. Raises AssertionError that tells what was asked and answered when any of CHECKS
    does not hold.
    """
    program = Path(sys.executable).parent / "schemathesis"
    settings = directory / "schemathesis.toml"
    settings.write_text(SETTINGS)
    argv = [str(program), f"--config-file={settings}", "run", f"{url}/openapi.json",
            f"--checks={','.join(CHECKS)}", f"--max-examples={EXAMPLES}",
            f"--request-timeout={ANSWER_TIMEOUT_S}",
            "--continue-on-failure", "--no-color", "--warnings=off"]  # fmt: skip
    argv += [f"--seed={SEED}"] if SEED else ["--generation-deterministic"]
    argv += [f"--exclude-path={path}" for path in exclude]
    argv += [f"--exclude-checks={','.join(without)}"] if without else []
    argv += [f"--header=Authorization: Bearer {token}"] if token else []
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": fuzzing_checks.__name__}
    done = subprocess.run(
        argv, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    report = done.stdout + done.stderr
    assert done.returncode == 0, report
    counts = re.search(r"Selected: (\d+)/\d+\s+Tested: (\d+)", report)
    assert counts is not None, report
    assert counts[1] == counts[2] != "0", report
