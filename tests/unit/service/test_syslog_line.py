"""Why there is no connection to a receiver of syslog, without one."""

from pathlib import Path

import pytest

from chopmark.service.config_model import Syslog
from chopmark.service.syslog_line import LineError, open_line
from rig.authority import Authority


@pytest.mark.parametrize("host", ["siem..example", f"{'s' * 64}.example"])
def test_name_that_cannot_be_looked_up_is_a_reason_and_no_crash(tmp_path: Path, host: str) -> None:
    with pytest.raises(LineError) as caught:
        open_line(Syslog(host=host, ca=Authority(tmp_path, "ca").path))
    assert "none can be like it" in caught.value.message
    assert "`host`" in caught.value.hint
