"""`hsm pin` and `hsm unlatch`: what is asked of the daemon and of root, and what is not."""

from collections import deque
from typing import Any

import pytest

from chopmark.console.commands.hsm import pin, unlatch
from chopmark.core.errors import ForbiddenError, RefusedError, UsageError
from consoledesk import MemoryAdmin, MemoryDesk, MemoryGateway, surroundings

READY = {"state": "ready"}


def gateway(answer: Any) -> tuple[MemoryGateway, list[object]]:
    asked: list[object] = []

    def take(body: object) -> Any:
        asked.append(body)
        return answer

    return MemoryGateway(posts={"/v1/hsm/pin": take, "/v1/hsm/unlatch": take}), asked


def token(tries: str, refused: str | None = None) -> MemoryAdmin:
    return MemoryAdmin({"token-tries": lambda **_: {"tries": tries, "refused": refused}})


@pytest.mark.parametrize(("answer", "verbs"), [("yes", ["pin-put"]), ("", []), ("y", [])])
async def test_right_pin_is_put_in_place_only_where_that_is_said(
    answer: str, verbs: list[str]
) -> None:
    api, asked = gateway(READY)
    desk, admin = MemoryDesk(deque(("271828", answer))), token("full")
    admin.verbs["pin-put"] = lambda **_: {}
    await pin(surroundings(desk, gateway=api, admin=admin), {})
    assert asked == [{"pin": "271828"}]
    assert desk.asked[0][1], "it is not echoed"
    assert [verb for verb, _ in admin.done] == ["token-tries", *verbs]
    assert "271828" not in desk.text


@pytest.mark.parametrize(
    "answer", [{"state": "latched", "reason": "refused"}, ForbiddenError("pin-refused", "no")]
)
async def test_wrong_pin_is_not_put_in_place(answer: Any) -> None:
    api, _ = gateway(answer)
    desk, admin = MemoryDesk(deque(("0000",))), token("full")
    around = surroundings(desk, gateway=api, admin=admin)
    if isinstance(answer, Exception):
        with pytest.raises(ForbiddenError):
            await pin(around, {})
    else:
        await pin(around, {})
        assert "refused" in desk.text
    assert [verb for verb, _ in admin.done] == ["token-tries"]


async def test_nothing_typed_is_not_tried() -> None:
    api, asked = gateway(READY)
    with pytest.raises(UsageError):
        await pin(surroundings(MemoryDesk(deque(("",))), gateway=api, admin=token("full")), {})
    assert not asked


async def test_unlatch_has_the_pin_in_place_tried() -> None:
    api, asked = gateway(READY)
    desk = MemoryDesk(deque(("TRY",)))
    await unlatch(surroundings(desk, gateway=api, admin=token("full", "refused on Monday")), {})
    assert asked == [{}]
    assert "HSM  ready" in desk.text


@pytest.mark.parametrize(
    ("tries", "refused", "warning"),
    [("low", None, "counted wrong PINs"), ("full", "wrong", "refused here before")],
)
async def test_try_beside_wrong_ones_is_confirmed_by_typing(
    tries: str, refused: str | None, warning: str
) -> None:
    api, asked = gateway(READY)
    desk = MemoryDesk(deque(("yes",)))
    with pytest.raises(RefusedError) as caught:
        await pin(surroundings(desk, gateway=api, admin=token(tries, refused)), {})
    assert (caught.value.code, asked) == ("reset-declined", [])
    assert warning in desk.text
    desk = MemoryDesk(deque(("TRY", "271828", "")))
    await pin(surroundings(desk, gateway=api, admin=token(tries, refused)), {})
    assert asked == [{"pin": "271828"}]


@pytest.mark.parametrize(("tries", "code"), [("final", "pin-last-try"), ("locked", "pin-locked")])
@pytest.mark.parametrize("command", [pin, unlatch])
async def test_last_try_is_not_made(tries: str, code: str, command: Any) -> None:
    api, asked = gateway(READY)
    with pytest.raises(RefusedError) as caught:
        await command(surroundings(MemoryDesk(), gateway=api, admin=token(tries)), {})
    assert (caught.value.code, asked) == (code, [])


async def test_where_the_token_cannot_be_asked_that_is_told_and_confirmed() -> None:
    api, asked = gateway(READY)
    desk = MemoryDesk(deque(("TRY", "271828", "")))
    await pin(surroundings(desk, gateway=api), {})
    assert "cannot be seen" in desk.text
    assert asked
