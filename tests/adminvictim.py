"""chopmark-admin that is killed right after its n-th step: `python adminvictim.py N …`.

A step is what another process could see: a file that is durable, a name that is gone, a unit that
was told something.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from chopmark.admin import candidate, ending, main, setting_up
from chopmark.admin.programs import Programs

left = int(sys.argv.pop(1))


def count() -> None:
    global left  # noqa: PLW0603 - the one number of this program
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


def then_count(call: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*values: Any, **named: Any) -> Any:
        done = call(*values, **named)
        count()
        return done

    return counted


def then_count_async(call: Callable[..., Any]) -> Callable[..., Any]:
    async def counted(*values: Any, **named: Any) -> Any:
        done = await call(*values, **named)
        count()
        return done

    return counted


candidate.replace_file = then_count(candidate.replace_file)
candidate._remove = then_count(candidate._remove)
ending.replace_file = then_count(ending.replace_file)
ending.sync_folder = then_count(ending.sync_folder)
setting_up.write_new = then_count(setting_up.write_new)
Programs.control = then_count_async(Programs.control)  # type: ignore[method-assign]
Programs.as_daemon = then_count_async(Programs.as_daemon)  # type: ignore[method-assign]

main.run()
