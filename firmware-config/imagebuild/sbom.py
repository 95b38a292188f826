"""What is in an image, as CycloneDX 1.5: Debian's packages, and the Python packages of the lock."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imagebuild.tools import named_uuid, run


def make_sbom(root: Path, lock: Path, version: str, epoch: int) -> str:
    """The list as JSON, the same for the same contents."""
    about = {
        "type": "firmware",
        "bom-ref": "chopmark-image",
        "name": "chopmark appliance",
        "version": version,
    }
    made = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    whole = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{named_uuid(f'sbom {version} {epoch}')}",
        "version": 1,
        "metadata": {"timestamp": made, "component": about},
        "components": [*debian(root), *python(lock.read_text())],
    }
    return json.dumps(whole, indent=1) + "\n"


def debian(root: Path) -> list[dict[str, Any]]:
    """Each package that is installed in a root."""
    form = "${Package}\\t${Version}\\t${Architecture}\\t${source:Package}\\t${source:Version}\\n"
    said = run("dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f", form)
    found = []
    for line in sorted(said.splitlines()):
        name, version, architecture, source, source_version = line.split("\t")
        purl = f"pkg:deb/debian/{name}@{_quote(version)}?arch={architecture}"
        from_ = {"name": "debian:source", "value": f"{source} {source_version}"}
        found.append(_component(name, version, purl) | {"properties": [from_]})
    return found


def python(lock: str) -> list[dict[str, Any]]:
    """Each package of a lock by `uv pip compile --generate-hashes`."""
    found = []
    for block in re.split(r"^(?=[a-z0-9])", lock.replace("\\\n", " "), flags=re.MULTILINE):
        match = re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*])?==([^\s;]+)", block)
        if match:
            name, version = match.groups()
            hashes = [
                {"alg": "SHA-256", "content": one}
                for one in re.findall(r"sha256:([0-9a-f]{64})", block)
            ]
            # Of these one is the file that was installed: each platform has its own.
            note = {
                "name": "python:hashes-of-files",
                "value": ",".join(one["content"] for one in hashes),
            }
            purl = f"pkg:pypi/{name.lower()}@{version}"
            found.append(_component(name, version, purl) | {"properties": [note]})
    return found


def _component(name: str, version: str, purl: str) -> dict[str, Any]:
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _quote(version: str) -> str:
    return version.replace("+", "%2B").replace(":", "%3A")
