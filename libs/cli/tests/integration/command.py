"""The command `reelay` as a process."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REELAY = str(Path(sys.executable).parent / "reelay")


@dataclass
class Command:
    """`reelay` with an environment of its own."""

    directory: Path
    environment: dict[str, str]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [REELAY, *arguments],
            env=self.environment,
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=60)
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    @property
    def remembered(self) -> dict[str, Any]:
        path = self.directory / "state/reelay/uploads.json"
        entries: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return entries
