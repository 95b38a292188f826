"""The HSM: its token and PIN, and the keys that are made in it.

The PIN is typed twice and compared here, so that a slip of the finger costs the token no try. What
is in place is tried once; if the token refuses it, it is never tried again: another is asked for.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from chopmark.console.commissioning import naming
from chopmark.console.commissioning.noted import Noted, Token, Who, this_start
from chopmark.console.commissioning.scene import OPEN, Scene, Seen, Step
from chopmark.console.showing import Screen
from chopmark.console.tokens import ask_tokens, find_only, show_tokens
from chopmark.core.errors import ChopmarkError, MissingError, RefusedError
from chopmark.core.fingerprint import Fingerprint, encode_public
from chopmark.core.keys import parse_vkey

_NO_ED25519: Final = "no-such-mechanism"


async def look_token(scene: Scene) -> Seen:
    """By the configuration; before there is one, by what the token has said since the start."""
    config = await scene.config()
    if config is not None:
        return Seen(done=True, told=config.hsm.token_label or config.hsm.token_serial or "")
    token, agreed = scene.notes.read().token, scene.notes.read().agreed.get("token")
    if token is None or agreed != this_start():
        return OPEN
    refused = (await _ask_token(scene, token))["refused"]
    return OPEN if refused else Seen(done=True, told=token.label)


async def do_token(scene: Scene) -> None:
    """Find the token, have the PIN typed where none is in place, and try it once."""
    there = await scene.admin("setup-look")
    token, said = await _find_token(scene, there)
    if there["pin"] == "missing" or said["refused"]:
        if said["refused"]:
            await scene.say("token.refused", reason=said["refused"])
        await scene.admin("pin-put", pin=await _ask_pin(scene, token))
    await _try_pin(scene, token)
    await scene.say("token.taken")
    scene.notes.agree("token", this_start())


async def _try_pin(scene: Scene, token: Token) -> None:
    try:
        await scene.admin("pin-try", module=token.module, token_label=token.label)
    except ChopmarkError as error:
        if error.code != "pin-refused":
            raise
        hint = "ask the keeper of the PIN, then `commission`: it asks for another"
        raise RefusedError("pin-refused", error.message, hint=hint) from error


async def _find_token(scene: Scene, there: Mapping[str, Any]) -> tuple[Token, Mapping[str, Any]]:
    noted = scene.notes.read()
    token = noted.token
    if token is None:
        modules = list(there["modules"])
        only = await _show_tokens(scene, modules)
        default = modules[0] if len(modules) == 1 else only[0] if only else ""
        module = await scene.ask("token.module", default=default)
        label = only[1] if only else noted.who.member if noted.who else ""
        label = await scene.ask("token.label", default=label)
        token = Token(module, label)
    said = await _ask_token(scene, token)
    await scene.say("token.shown", **{name: said[name] for name in ("maker", "model", "serial")})
    check_tries(str(said["tries"]))
    if said["tries"] == "low":
        await scene.say("token.low")
    scene.notes.write(msgspec.structs.replace(noted, token=token))
    return token, said


async def _show_tokens(scene: Scene, modules: list[str]) -> tuple[str, str] | None:
    """What there is to choose from; gives the one token, if there is just one."""
    await scene.say("token.modules", modules=", ".join(modules))
    around, screen = scene.around, Screen(scene.around.desk)
    try:
        found = await ask_tokens(around.admin, around.who)
    except ChopmarkError as error:  # it can be typed all the same
        await screen.trouble(error)
        return None
    await show_tokens(screen, found)
    return find_only(found)


async def _ask_token(scene: Scene, token: Token) -> Mapping[str, Any]:
    return await scene.admin("token-look", module=token.module, token_label=token.label)


def check_tries(tries: str) -> None:
    """Nothing is tried that might lock the token for good.

    Raises:
        RefusedError: `pin-last-try`, `pin-locked`.
    """
    if tries == "final":
        hint = "have the maker's tool take the right PIN once, then `commission` again"
        raise RefusedError("pin-last-try", "one wrong PIN more locks the token", hint=hint)
    if tries == "locked":
        hint = "the token's security officer sets a new PIN, by the maker's tool"
        raise RefusedError("pin-locked", "the token has locked its PIN", hint=hint)


async def _ask_pin(scene: Scene, token: Token) -> str:
    while True:
        pin = await scene.ask("token.pin", secret=True)
        if pin and pin == await scene.ask("token.pin-again", secret=True):
            return pin
        await scene.say("token.differ", label=token.label)


async def look_keys(scene: Scene) -> Seen:
    """The configuration is written last: with it keys and ledger are there."""
    config = await scene.config()
    return OPEN if config is None else Seen(done=True, told=config.gateway.origin)


async def do_keys(scene: Scene) -> None:
    """Make keys, ledger and configuration, and show the keys.

    Raises:
        ChopmarkError: what root says; `step-declined`.
    """
    noted = scene.notes.read()
    if noted.who is None or noted.token is None:
        raise MissingError("step-open", "name and token come first", hint="`commission` again")
    await naming.show(scene, noted.who)
    answer = await scene.ask("keys.go-ahead")
    if answer.lower() != "yes":
        if answer.lower() == "no":
            scene.notes.write(Noted(agreed=noted.agreed))
        message = "`yes` was not typed; nothing was made"
        hint = "`commission` asks again; after `no` it asks for the names, too"
        raise RefusedError("step-declined", message, hint=hint)
    await scene.say("keys.making")
    await _make(scene, noted.who, noted.token)
    await show_keys(scene)
    await scene.ask("keys.written-down")


async def _make(scene: Scene, who: Who, token: Token) -> None:
    """A token that has no Ed25519 gets a cosigner key of P-256."""
    asked = {
        **{
            name: getattr(who, name) for name in ("member", "origin", "institution", "jurisdiction")
        },
        "broker": [who.host, who.port],
        "module": token.module,
        "token_label": token.label,
    }
    try:
        await scene.admin("gateway-init", **asked)
    except ChopmarkError as error:
        if error.code != _NO_ED25519:
            raise
        await scene.say("keys.p256")
        await scene.admin("gateway-init", cosigner_key="p256", **asked)


async def show_keys(scene: Scene) -> Mapping[str, Any]:
    """Both public keys: name, number, and fingerprint as words; gives who the gateway is."""
    who = await scene.admin("identity")
    for name in ("log", "cosigner"):
        key = parse_vkey(str(who[f"{name}_vkey"]))
        words = Fingerprint(encode_public(key)).words
        await scene.say(f"keys.{name}", named=f"{key.name}+{key.key_id.hex()}", words=words)
    return who


TOKEN: Final = Step("token", look_token, do_token)
KEYS: Final = Step("keys", look_keys, do_keys)
