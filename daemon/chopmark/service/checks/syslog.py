"""The receiver of the audit log: our files for it, whether it is there, and takes us.

Codes: `syslog-away`.
"""

from collections.abc import Iterator

from chopmark.core.errors import ChopmarkError
from chopmark.service.checks.finding import Finding, Scene
from chopmark.service.syslog_line import open_line


def check_syslog(scene: Scene) -> Iterator[Finding]:
    """Connect, and send nothing."""
    receiver = scene.config.audit.syslog
    if receiver is None:
        return
    try:
        open_line(receiver).close()
    except ChopmarkError as error:
        yield scene.judge(error, "see docs/operations/audit.md")
