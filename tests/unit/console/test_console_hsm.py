"""`hsm pin` and `hsm unlatch`: what is asked of the daemon and of root, and what is not."""

from collections import deque
from typing import Any

import pytest

from chopmark.console.commands.hsm import pin, unlatch
from chopmark.core.errors import ForbiddenError, UsageError
from consoledesk import MemoryAdmin, MemoryDesk, MemoryGateway, surroundings

READY = {"state": "ready"}


def gateway(answer: Any) -> tuple[MemoryGateway, list[object]]:
    asked: list[object] = []

    def take(body: object) -> Any:
        asked.append(body)
        return answer

    return MemoryGateway(posts={"/v1/hsm/pin": take, "/v1/hsm/unlatch": take}), asked


@pytest.mark.parametrize(("answer", "verbs"), [("yes", ["pin-put"]), ("", []), ("y", [])])
async def test_right_pin_is_put_in_place_only_where_that_is_said(
    answer: str, verbs: list[str]
) -> None:
    api, asked = gateway(READY)
    desk, admin = MemoryDesk(deque(("271828", answer))), MemoryAdmin({"pin-put": lambda **_: {}})
    await pin(surroundings(desk, gateway=api, admin=admin), {})
    assert asked == [{"pin": "271828"}]
    assert desk.asked[0][1], "it is not echoed"
    assert [verb for verb, _ in admin.done] == verbs
    assert "271828" not in desk.text


@pytest.mark.parametrize(
    "answer", [{"state": "latched", "reason": "refused"}, ForbiddenError("pin-refused", "no")]
)
async def test_wrong_pin_is_not_put_in_place(answer: Any) -> None:
    api, _ = gateway(answer)
    desk, admin = MemoryDesk(deque(("0000",))), MemoryAdmin()
    around = surroundings(desk, gateway=api, admin=admin)
    if isinstance(answer, Exception):
        with pytest.raises(ForbiddenError):
            await pin(around, {})
    else:
        await pin(around, {})
        assert "refused" in desk.text
    assert not admin.done


async def test_nothing_typed_is_not_tried() -> None:
    api, asked = gateway(READY)
    with pytest.raises(UsageError):
        await pin(surroundings(MemoryDesk(deque(("",))), gateway=api), {})
    assert not asked


async def test_unlatch_has_the_pin_in_place_tried() -> None:
    api, asked = gateway(READY)
    desk = MemoryDesk()
    await unlatch(surroundings(desk, gateway=api), {})
    assert asked == [{}]
    assert "HSM  ready" in desk.text
