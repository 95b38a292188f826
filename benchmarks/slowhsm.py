"""`chopmarkd` with a slow HSM: each signature takes a tenth of a second longer.

The delay stands where the daemon calls PKCS#11, on the HSM's thread, as a slow token would make it.
It is put there from outside: the product has no switch for it.
"""

import time
from typing import Final

from chopmark.hsm.device import Device, Role
from chopmark.service.main import run

DELAY: Final = 0.1
"""Seconds: ten signatures a second at most, as of a small HSM."""

_sign = Device.sign


def _sign_slowly(device: Device, role: Role, message: bytes) -> bytes:
    time.sleep(DELAY)
    return _sign(device, role, message)


if __name__ == "__main__":
    Device.sign = _sign_slowly  # type: ignore[method-assign]  # that is what this file is for
    run()
