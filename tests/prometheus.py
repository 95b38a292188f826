"""A real Prometheus that scrapes gateways, in a folder of its own."""

import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from rig.broker import free_port
from rig.patience import PATIENCE


class Prometheus:
    """Scrapes `targets` (host:port) each half second, with these rules; a context manager."""

    def __init__(self, folder: Path, targets: Sequence[str], rules: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._log = folder / "prometheus.log"
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}/api/v1/")
        every = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
        jobs = [{"job_name": "chopmark", "static_configs": [{"targets": list(targets)}]}]
        conf = {"global": every, "scrape_configs": jobs, "rule_files": [str(rules)]}
        (folder / "prometheus.yml").write_text(json.dumps(conf))  # JSON is YAML
        self._command = [
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
        ]

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._client.close()
        self._process.kill()
        self._process.wait()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an expression now."""
        found: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return found

    def get(self, path: str, **parameters: str) -> Any:
        """What the API says."""
        answer = self._client.get(path, params=parameters)
        assert answer.status_code != 400, answer.text
        return answer.raise_for_status().json()["data"]  # 503 while it starts

    def wait_for(self, expression: str, count: int) -> None:
        """Wait until an expression has so many samples."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if len(self.query(expression)) >= count:
                    return
            except httpx.HTTPError:
                assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.1)
