"""The verbs: the one table of what root does for the console, and for nobody else.

| verb | what it may change |
| --- | --- |
| `config-state` | nothing |
| `config-change`, `config-discard` | the candidate |
| `config-commit`, `config-confirm`, `config-rollback` | the configuration |
| `setup-look`, `tokens-look`, `token-look`, `token-tries`, `identity` | nothing |
| `doctor`, `fsck`, `state-look` | nothing |
| `pin-put` | the HSM's PIN in place; before there is a gateway, that it was refused is forgotten |
| `pin-try` | the token is asked to take the PIN in place, once |
| `gateway-init` | makes what is not there yet: keys, ledger, configuration |
| `transport-request`, `transport-put` | the key and certificates that brokers are shown |
| `peers-pin` | whom the gateway believes, where that is nobody yet |
| `attest-first` | the log gets one entry more, whose text is fixed |
| `unit-start`, `unit-stop`, `unit-restart` | one of three units |
| `recover-start`, `recover-state` | `chopmark recover`, in a unit of its own |
| `reboot` | the box starts again |
| `reset-look`, `reset-export` | nothing; which entries were handed out is noted |
| `wipe` | everything goes |
| `network-state` | nothing |
| `network-apply`, `network-confirm`, `network-rollback` | files of networkd, on the image only |
| `firmware-look`, `firmware-state`, `fetch-state` | nothing |
| `firmware-ca` | the CA of the source of releases |
| `fetch-start`, `fetch-stop` | the release that waits to be installed, on the image only |
| `firmware-install` | the slot that does not run, on the image only |
| `slot-switch` | which slot is started next, on the image only |
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from chopmark.admin import requests as ask
from chopmark.admin.box import Box
from chopmark.core.errors import MalformedError, UsageError

Answer = Mapping[str, Any]
_SECRET: Final = frozenset(("pin",))
_SHOWN: Final = 500
"""Characters of a value in the journal: blocks and certificates have thousands."""


@dataclass(frozen=True, slots=True)
class Verb:
    """What is asked, and what does it.

    Attributes:
        request: type of its values.
        run: does it.
        looks: it changes nothing, and so waits for no other verb.
        tells: it takes long: `run` is given what tells of it meanwhile, and ends with its caller.
    """

    request: type[ask.Request]
    run: Callable[..., Awaitable[Answer]]
    looks: bool = False
    tells: bool = False


async def _wipe(box: Box, asked: ask.Wipe) -> Answer:
    if asked.scope == "disk":
        box.firmware.require_image()
        box.ending.check_empty()
        return await box.firmware.erase()
    return await box.ending.wipe(asked)


async def _network_state(box: Box, _asked: ask.Nothing) -> Answer:
    return box.networks.state()


async def _config_state(box: Box, _asked: ask.Nothing) -> Answer:
    return box.config_state()


async def _change(box: Box, asked: ask.Change) -> Answer:
    return box.change(asked)


async def _discard(box: Box, _asked: ask.Nothing) -> Answer:
    box.candidates.discard()
    return {}


async def _pin_put(box: Box, asked: ask.Pin) -> Answer:
    await box.setting_up.put_pin(asked.pin)
    return {}


async def _setup_look(box: Box, _asked: ask.Nothing) -> Answer:
    return {**box.setting_up.look(), **box.joining.look()}


async def _transport_request(box: Box, _asked: ask.Nothing) -> Answer:
    return {"request": box.joining.request()}


async def _transport_put(box: Box, asked: ask.Certificates) -> Answer:
    return box.joining.put(asked)


async def _peers_pin(box: Box, asked: ask.Peers) -> Answer:
    box.candidates.refuse_pending()
    return box.joining.pin(asked)


async def _firmware_ca(box: Box, asked: ask.FirmwareCa) -> Answer:
    return box.put_firmware_ca(asked.ca)


VERBS: Final[Mapping[str, Verb]] = {
    "config-state": Verb(ask.Nothing, _config_state, looks=True),
    "config-change": Verb(ask.Change, _change),
    "config-discard": Verb(ask.Nothing, _discard),
    "config-commit": Verb(ask.Commit, lambda box, asked: box.commit(asked.seconds)),
    "config-confirm": Verb(ask.Nothing, lambda box, _: box.confirm()),
    "config-rollback": Verb(ask.Nothing, lambda box, _: box.roll_back()),
    "setup-look": Verb(ask.Nothing, _setup_look, looks=True),
    "tokens-look": Verb(ask.Nothing, lambda box, _: box.setting_up.look_at_tokens(), looks=True),
    "token-look": Verb(ask.Token, lambda box, asked: box.setting_up.look_at_token(asked)),
    "token-tries": Verb(ask.Nothing, lambda box, _: box.setting_up.look_at_tries(), looks=True),
    "doctor": Verb(
        ask.Doctor, lambda box, asked, tell: box.looking.doctor(asked, tell), looks=True, tells=True
    ),
    "fsck": Verb(ask.Nothing, lambda box, _, tell: box.looking.fsck(tell), looks=True, tells=True),
    "state-look": Verb(ask.Nothing, lambda box, _: box.looking.state(), looks=True),
    "pin-put": Verb(ask.Pin, _pin_put),
    "pin-try": Verb(ask.Token, lambda box, asked: box.setting_up.try_pin(asked)),
    "gateway-init": Verb(ask.Init, lambda box, asked: box.setting_up.init(asked)),
    "identity": Verb(ask.Nothing, lambda box, _: box.joining.identity(), looks=True),
    "transport-request": Verb(ask.Nothing, _transport_request),
    "transport-put": Verb(ask.Certificates, _transport_put),
    "peers-pin": Verb(ask.Peers, _peers_pin),
    "attest-first": Verb(
        ask.FirstAttestation, lambda box, asked: box.joining.attest_first(asked.kind)
    ),
    "unit-start": Verb(ask.Unit, lambda box, asked: box.unit("start", asked.unit)),
    "unit-stop": Verb(ask.Unit, lambda box, asked: box.unit("stop", asked.unit)),
    "unit-restart": Verb(ask.Unit, lambda box, asked: box.unit("restart", asked.unit)),
    "recover-start": Verb(ask.Nothing, lambda box, _: box.recover()),
    "recover-state": Verb(ask.Nothing, lambda box, _: box.recovered(), looks=True),
    "reboot": Verb(ask.Nothing, lambda box, _: box.reboot()),
    "reset-look": Verb(ask.Nothing, lambda box, _: box.ending.look(), looks=True),
    "reset-export": Verb(ask.Unwitnessed, lambda box, asked: box.ending.hand_out(asked.start)),
    "wipe": Verb(ask.Wipe, _wipe),
    "network-state": Verb(ask.Nothing, _network_state, looks=True),
    "network-apply": Verb(ask.Network, lambda box, asked: box.apply_network(asked)),
    "network-confirm": Verb(ask.Nothing, lambda box, _: box.confirm_network()),
    "network-rollback": Verb(ask.Nothing, lambda box, _: box.roll_back_network()),
    "firmware-look": Verb(ask.Nothing, lambda box, _: box.firmware.look()),
    "firmware-install": Verb(ask.Nothing, lambda box, _: box.firmware.install()),
    "firmware-state": Verb(ask.Nothing, lambda box, _: box.firmware.state(), looks=True),
    "firmware-ca": Verb(ask.FirmwareCa, _firmware_ca),
    "fetch-start": Verb(ask.Nothing, lambda box, _: box.firmware.fetch()),
    "fetch-stop": Verb(ask.Nothing, lambda box, _: box.firmware.stop_fetching()),
    "fetch-state": Verb(ask.Nothing, lambda box, _: box.firmware.fetched(), looks=True),
    "slot-switch": Verb(ask.Slot, lambda box, asked: box.firmware.switch(asked.slot)),
}


def parse_request(line: bytes) -> tuple[str, ask.Request]:
    """The verb and the values of one line.

    Raises:
        MalformedError: `malformed-request`: no JSON object, or values that may not be.
        UsageError: `no-such-verb`.
    """
    try:
        values = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedError("malformed-request", f"not one object of JSON: {error}") from None
    name = values.pop("verb", None)
    verb = VERBS.get(name) if isinstance(name, str) else None
    if verb is None:
        raise UsageError("no-such-verb", "there is no such verb in the table")
    try:
        return str(name), msgspec.convert(values, verb.request)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at ")  # `what` may show the value
        message = f"{place.strip('`$.')} is not what it may be" if place else what
        raise MalformedError("malformed-request", f"{name}: {message}") from None


def describe_values(asked: ask.Request) -> dict[str, str]:
    """The values for the journal, without what is secret."""
    told = msgspec.structs.asdict(asked)
    shown = {key: str(value) for key, value in told.items() if value is not None}
    return {key: value[:_SHOWN] for key, value in shown.items() if key not in _SECRET}
