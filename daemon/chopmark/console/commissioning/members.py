"""The others: what they must know of this gateway, and whom it is to believe."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from chopmark.console.commissioning.keys import show_keys
from chopmark.console.commissioning.scene import OPEN, Scene, Seen, Step
from chopmark.console.transfer.files import receive_file, send_file
from chopmark.core.errors import ChopmarkError, RefusedError, UsageError
from chopmark.core.keys import parse_vkey
from chopmark.core.member import Member
from chopmark.core.note import MAX_NOTE
from chopmark.service.config_text import render_peer

WAYS: Final = ("roster", "peers")
MAX_BLOCKS: Final = 7000
SECONDS: Final = 60.0


async def look_identity(scene: Scene) -> Seen:
    """Whoever has members in has been told of; else somebody said that head office has it."""
    members = await look_members(scene)
    if members.done:
        return Seen(done=True, told=scene.t("identity.known"))
    config, agreed = await scene.config(), scene.notes.read().agreed.get("identity")
    if config is None or agreed is None:
        return OPEN
    who = await scene.admin("identity")
    return Seen(done=agreed == _name(who), told=scene.t("identity.out"))


async def do_identity(scene: Scene) -> None:
    """Show the words of the keys, and hand the block out: its lines are too long for a screen."""
    who = await show_keys(scene)
    block = render_peer(_member(who))
    await scene.say("identity.file", name=f"{who['id']}.toml")
    await send_file(scene.around.desk, f"{who['id']}.toml", block.encode())
    await scene.agree("identity.given")
    scene.notes.agree("identity", _name(who))


async def look_members(scene: Scene) -> Seen:
    """By the roster in force, or the peers of the configuration."""
    config = await scene.config()
    if config is not None and config.peer:
        return Seen(done=True, told=", ".join(one.id for one in config.peer))
    roster = await scene.get("/v1/roster")
    if not isinstance(roster, dict) or not roster.get("pinned"):
        return OPEN
    told = scene.t("members.roster", version=roster["version"], words=roster["words"])
    return Seen(done=True, told=told)


async def do_members(scene: Scene) -> None:
    """Take the roster, or the blocks of peers, and the words that head office reads out.

    Raises:
        RefusedError: `wrong-fingerprint`, and what the rules of rosters say.
    """
    way = await scene.ask("members.way", default=WAYS[0])
    if way not in WAYS:
        hint = f"one of {', '.join(WAYS)}"
        raise UsageError("console-value", f"not a way: {way[:32]!r}", hint=hint)
    limit = MAX_NOTE if way == "roster" else MAX_BLOCKS
    data = await receive_file(scene.around.desk, way, limit=limit)
    words = await scene.ask("members.words" if way == "roster" else "members.sum")
    try:
        await _pin(scene, way, data.decode("utf-8", "replace"), words)
    except ChopmarkError as error:
        if error.code != "wrong-fingerprint":
            raise
        # The API says which words are right: whoever reads them here would not ask by telephone.
        hint = "have them read out again; if they stay other words, never use this file"
        message = "these are not the words of this file"
        raise RefusedError("wrong-fingerprint", message, hint=hint) from None
    await scene.wait_for(lambda: _answers(scene), SECONDS)


async def _pin(scene: Scene, way: str, text: str, words: str) -> None:
    if way == "roster":
        body = {"note": text, "fingerprint": words}
        await scene.around.gateway.post("/v1/roster/pin", body)
        return
    await scene.admin("peers-pin", blocks=text, fingerprint=words)
    await scene.say("members.restart")
    await scene.admin("unit-restart", unit="gateway")


async def _answers(scene: Scene) -> bool:
    return await scene.get("/v1/status") is not None


def _name(who: Mapping[str, Any]) -> str:
    """Names the keys that were handed out: those of another gateway are none of these."""
    return sha256(f"{who['log_vkey']} {who['cosigner_vkey']}".encode()).hexdigest()


def _member(who: Mapping[str, Any]) -> Member:
    return Member(
        id=str(who["id"]),
        origin=str(who["origin"]),
        log_key=parse_vkey(str(who["log_vkey"])),
        cosigner_key=parse_vkey(str(who["cosigner_vkey"])),
        institution=str(who["institution"]),
        jurisdiction=str(who["jurisdiction"]),
        kinds=frozenset(map(str, who["kinds"])),
        chain=who.get("chain"),
    )


IDENTITY: Final = Step("identity", look_identity, do_identity)
MEMBERS: Final = Step("members", look_members, do_members)
