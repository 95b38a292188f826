"""The gateway at work: its daemon, the first peers, and the first attestation."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from chopmark.console.commissioning.scene import OPEN, Scene, Seen, Step
from chopmark.console.showing import objects
from chopmark.core.errors import TryAgainError
from chopmark.service.first_attestation import first_text

STARTS: Final = 90.0
MEETS: Final = 180.0
"""Seconds for a peer to be seen: a heartbeat comes each 30 s."""
WITNESSED: Final = 120.0
_PAGE: Final = 100
_PAGES: Final = 10
_ASKED: Final = 16


async def look_daemon(scene: Scene) -> Seen:
    """It answers, and the HSM is in use."""
    status = await scene.get("/v1/status")
    if not isinstance(status, dict):
        return OPEN
    state = status["hsm"]["state"]
    return Seen(done=state == "ready", told=scene.t("daemon.runs", version=status["version"]))


async def do_daemon(scene: Scene) -> None:
    """Start it.

    Raises:
        TryAgainError: `not-answering`, or how the HSM is (`hsm-away`, `hsm-latched` …).
    """
    await scene.admin("unit-start", unit="gateway")
    if await scene.wait_for(lambda: _is_done(scene, look_daemon), STARTS):
        return
    status = await scene.get("/v1/status")
    if isinstance(status, dict):
        hsm = status["hsm"]
        raise TryAgainError(f"hsm-{hsm['state']}", str(hsm["reason"]), hint=str(hsm["hint"] or ""))
    hint = "`show services` and `show log` say why; then `commission` again"
    raise TryAgainError("not-answering", "the gateway does not answer", hint=hint)


async def look_peers(scene: Scene) -> Seen:
    """One is online; before its heartbeat comes, one that answers when it is asked."""
    peers = objects(await scene.get("/v1/peers"))
    found = [str(one["id"]) for one in peers if one.get("online")]
    found = found or await _ask_round(scene, [str(one["id"]) for one in peers])
    return Seen(done=bool(found), told=", ".join(found))


async def _ask_round(scene: Scene, peers: Sequence[str]) -> list[str]:
    """Those of the first few that answer within the time that `GatewayApi.get` has."""
    paths = (f"/v1/peers/{quote(one, safe='')}/round-trip" for one in peers[:_ASKED])
    answers = await asyncio.gather(*map(scene.get, paths))
    return [one for one, answer in zip(peers, answers, strict=False) if answer is not None]


async def do_peers(scene: Scene) -> None:
    """Wait for one.

    Raises:
        TryAgainError: `no-peer-seen`.
    """
    await scene.say("peers.waiting", seconds=int(MEETS))
    if not await scene.wait_for(lambda: _is_done(scene, look_peers), MEETS):
        hint = "`test broker`; has head office published the roster that names this gateway?"
        raise TryAgainError("no-peer-seen", "no peer was heard of", hint=hint)


async def look_attestation(scene: Scene) -> Seen:
    """One of our log lies under a head that the quorum has cosigned."""
    found = await _find_attestation(scene)
    if found is None or not _covers(await scene.get("/v1/status"), int(found["index"])):
        return OPEN
    return Seen(done=True, told=scene.t("attestation.there", index=found["index"]))


async def do_attestation(scene: Scene) -> None:
    """Attest a text that says what it is, for a day, and wait for the quorum.

    Raises:
        ChopmarkError: what the API says; `not-witnessed`.
    """
    if not await scene.wait_for(lambda: _is_ready(scene), STARTS):
        status = await scene.get("/v1/status") or {}
        reasons = "; ".join(map(str, status.get("reasons") or ("it does not answer",)))
        hint = "`show status` says more; then `commission` again"
        raise TryAgainError("not-ready", f"the gateway is not ready: {reasons}", hint=hint)
    if await _find_attestation(scene) is None:
        text = first_text((await scene.need_config()).gateway.origin)
        await scene.say("attestation.making", text=text.strip())
        await scene.admin("attest-first", kind=await _choose_kind(scene))
    await scene.say("attestation.waiting")
    if not await scene.wait_for(lambda: _is_done(scene, look_attestation), WITNESSED):
        hint = "`show peers`: a quorum of other institutions must be online"
        raise TryAgainError("not-witnessed", "it is signed, and not witnessed yet", hint=hint)


async def _choose_kind(scene: Scene) -> str:
    """One that the gateway may issue."""
    roster = await scene.get("/v1/roster") or {}
    catalogue = [str(one["name"]) for one in objects(roster.get("kinds"))]
    own = (await scene.need_config()).gateway.kinds
    may = [one for one in catalogue if "*" in own or one in own] or [*own]
    return "document" if may[0] == "*" or "document" in may else may[0]


async def _find_attestation(scene: Scene) -> Mapping[str, Any] | None:
    after = -1
    for _ in range(_PAGES):
        page = await scene.get(f"/v1/entries?after={after}&limit={_PAGE}&wait=0")
        entries = objects(page.get("entries")) if isinstance(page, dict) else []
        for one in entries:
            if one.get("type") == "attestation":
                return one
        if len(entries) < _PAGE:
            break
        after = int(entries[-1]["index"])
    return None


def _covers(status: object, index: int) -> bool:
    if not isinstance(status, dict):
        return False
    witnessed = status["witnessed"]
    if witnessed["state"] == "none":  # no quorum is demanded: a signed head has to do
        return bool(status["head"]["size"] > index)
    return bool((witnessed["size"] or 0) > index)


async def _is_ready(scene: Scene) -> bool:
    status = await scene.get("/v1/status")
    return isinstance(status, dict) and bool(status["ready"])


async def _is_done(scene: Scene, look: Any) -> bool:
    seen: Seen = await look(scene)
    return seen.done


DAEMON: Final = Step("daemon", look_daemon, do_daemon)
PEERS: Final = Step("peers", look_peers, do_peers)
ATTESTATION: Final = Step("attestation", look_attestation, do_attestation)
