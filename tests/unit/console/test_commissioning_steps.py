"""The steps of the wizard one by one, and its transcript and page in docs/operations."""

import re
from collections import deque
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from chopmark.console.commissioning import ground, keys, naming
from chopmark.console.commissioning.noted import Noted, Notes, Token, Who, this_start
from chopmark.console.commissioning.plan import STEPS, go_through, show
from chopmark.console.commissioning.scene import Scene
from chopmark.console.words import find_text, t
from chopmark.core.errors import ChopmarkError, RefusedError
from consoledesk import CTRL_C, MemoryAdmin, MemoryDesk, surroundings

DOCS: Final = Path(__file__).parents[3] / "docs" / "operations"
WHO: Final = Who("hk-1", "bank-hk.example/hk-1", "Bank", "HK", "127.0.0.1", 1883)
TOKEN: Final = Token("softhsm", "hk-1")
NOW: Final = datetime(2026, 11, 30, 18, 5, 20, tzinfo=UTC)
TOLD: Final = {"maker": "M", "model": "m", "serial": "1", "tries": "full", "refused": None}


def make_scene(folder: Path, *answers: str, **verbs: Any) -> tuple[Scene, MemoryDesk, MemoryAdmin]:
    desk = MemoryDesk(answers=deque(answers))
    admin = MemoryAdmin({name.replace("_", "-"): verb for name, verb in verbs.items()})
    around = surroundings(desk, admin=admin, config=folder / "gateway.toml")
    return Scene(around, Notes(folder / "console")), desk, admin


def test_transcript_shows_each_step_of_the_wizard_done_in_its_order() -> None:
    shown = (DOCS / "commissioning-transcript.txt").read_text()
    names = [t("en", f"commission.{step.name}.name") for step in STEPS]
    assert re.findall(rf"\[\d+/{len(STEPS)}\] ([^:\n]+): done", shown) == names
    assert t("en", "commission.end") in shown


def test_transcript_has_no_path_and_no_secret() -> None:
    shown = (DOCS / "commissioning-transcript.txt").read_text()
    assert not re.search(r"/(tmp|root|home|work)/|technician |sealed ", shown)
    for prompt in ("PIN of the token:", "The PIN once more:", "PIN:", "commissioning code:"):
        assert prompt in shown.splitlines()


def test_page_has_a_row_for_each_step() -> None:
    rows = re.findall(r"^\| ([^|]+) \|", (DOCS / "commissioning.md").read_text(), re.MULTILINE)
    for step in STEPS:
        assert t("en", f"commission.{step.name}.name") in rows


@pytest.mark.parametrize("what", ["name", "about", "help"])
def test_each_step_says_what_it_does_and_what_to_do_if_it_fails(what: str) -> None:
    for step in STEPS:
        assert find_text("en", f"commission.{step.name}.{what}"), step.name


async def test_names_are_checked_one_by_one_and_kept_once_they_are_confirmed(
    tmp_path: Path,
) -> None:
    answers = ("HK 1", "hk-1", "bank-hk.example/hk-1", "Bank", "hk", "nobroker", "b.example:8883")
    scene, desk, _ = make_scene(tmp_path, *answers, "yes")
    await naming.do(scene)
    assert scene.notes.read().who == Who(*answers[1:4], "HK", "b.example", 8883)
    assert "once more" in desk.text
    assert (await naming.look(scene)).done


async def test_names_that_are_not_confirmed_are_not_kept(tmp_path: Path) -> None:
    scene, _, _ = make_scene(tmp_path, "hk-1", "b/hk-1", "Bank", "HK", "", "y")
    with pytest.raises(RefusedError, match="not typed"):
        await naming.do(scene)
    assert not (await naming.look(scene)).done


@pytest.mark.parametrize(
    ("typed", "off"),
    [
        ("2026-11-30 18:05:20", 0),
        ("2026-11-30 18:05", 0),
        ("2026-11-30 18:04", 80),
        ("2026-11-30 18:06", -40),
        ("2026-11-30 17:05:20", 3600),
    ],
)
def test_clock_is_compared_with_a_typed_time(typed: str, off: int) -> None:
    assert ground.how_far_off(typed, NOW) == off


@pytest.mark.parametrize("typed", ["18:05", "30.11.2026", "2026-13-01 00:00", "x"])
def test_clock_is_not_compared_with_what_is_no_time(typed: str) -> None:
    with pytest.raises(ChopmarkError, match="no time"):
        ground.how_far_off(typed, NOW)


async def test_clock_that_is_far_off_stops_the_step(tmp_path: Path) -> None:
    scene, _, _ = make_scene(tmp_path, "2001-01-01 00:00")
    with pytest.raises(RefusedError, match="off by"):
        await ground.do_clock(scene)
    assert "agreed" not in scene.notes.read().agreed
    assert scene.notes.read() == Noted()


async def test_what_was_seen_counts_until_the_box_starts_again(tmp_path: Path) -> None:
    scene, _, _ = make_scene(tmp_path)
    scene.notes.agree("network", this_start())
    assert (await ground.look_network(scene)).done
    scene.notes.agree("network", "another start")
    assert not (await ground.look_network(scene)).done


async def test_network_that_is_to_be_changed_needs_the_appliance(tmp_path: Path) -> None:
    scene, _, admin = make_scene(tmp_path, "change", "static", "192.0.2.10/24", "192.0.2.1")
    with pytest.raises(ChopmarkError) as caught:
        await ground.do_network(scene)
    assert caught.value.code == "not-on-this-platform"
    asked = {"method": "static", "address": "192.0.2.10/24", "gateway": "192.0.2.1"}
    ((verb, values),) = admin.done
    assert (verb, values.items() >= asked.items()) == ("network-apply", True)


@pytest.mark.parametrize(("answer", "verb"), [("", "network-confirm"), ("no", "network-rollback")])
async def test_network_that_was_changed_is_kept_or_taken_back(
    tmp_path: Path, answer: str, verb: str
) -> None:
    """Left alone, it would be taken back behind the technician's back after five minutes."""
    scene, _, admin = make_scene(tmp_path, "change", "dhcp", answer)
    for name in ("network-apply", "network-confirm", "network-rollback"):
        admin.verbs[name] = lambda **_: {}
    with nullcontext() if not answer else pytest.raises(RefusedError, match="as it was"):
        await ground.do_network(scene)
    assert [name for name, _ in admin.done] == ["network-apply", verb]
    assert (await ground.look_network(scene)).done is (not answer)


def token_scene(
    folder: Path, *answers: str, pin: str = "missing", **told: Any
) -> tuple[Scene, MemoryDesk, MemoryAdmin]:
    def nothing(**_: Any) -> dict[str, Any]:
        return {}

    scene, desk, admin = make_scene(
        folder,
        *answers,
        setup_look=lambda **_: {"pin": pin, "modules": ["softhsm"]},
        token_look=lambda **_: {**TOLD, **told},
        pin_put=nothing,
        pin_try=nothing,
    )
    scene.notes.write(Noted(who=WHO))
    return scene, desk, admin


async def test_pin_is_typed_twice_before_the_token_is_asked(tmp_path: Path) -> None:
    scene, desk, admin = token_scene(tmp_path, "", "", "1234", "1243", "1234", "1234")
    await keys.do_token(scene)
    assert [one[0] for one in admin.done][-2:] == ["pin-put", "pin-try"]
    assert [one[1] for one in desk.asked] == [False, False, True, True, True, True]
    assert "1234" not in desk.text
    assert (await keys.look_token(scene)).done


async def test_pin_that_is_in_place_is_not_asked_for(tmp_path: Path) -> None:
    scene, _, admin = token_scene(tmp_path, "", "", pin="plain")
    await keys.do_token(scene)
    assert "pin-put" not in [one[0] for one in admin.done]


async def test_pin_that_was_refused_is_asked_for_anew(tmp_path: Path) -> None:
    scene, desk, admin = token_scene(
        tmp_path, "", "", "1", "1", pin="plain", refused="CKR_PIN_INCORRECT"
    )
    await keys.do_token(scene)
    assert "CKR_PIN_INCORRECT" in desk.text
    assert "pin-put" in [one[0] for one in admin.done]


@pytest.mark.parametrize(("tries", "code"), [("final", "pin-last-try"), ("locked", "pin-locked")])
async def test_last_try_of_a_token_is_never_taken(tmp_path: Path, tries: str, code: str) -> None:
    scene, _, admin = token_scene(tmp_path, "", "", tries=tries)
    with pytest.raises(RefusedError) as caught:
        await keys.do_token(scene)
    assert caught.value.code == code
    assert not {"pin-put", "pin-try"} & {one[0] for one in admin.done}


async def test_no_before_the_keys_forgets_the_names(tmp_path: Path) -> None:
    scene, _, admin = make_scene(tmp_path, "no")
    scene.notes.write(Noted(who=WHO, token=TOKEN))
    with pytest.raises(RefusedError, match="nothing was made"):
        await keys.do_keys(scene)
    assert scene.notes.read() == Noted()
    assert admin.done == []


async def test_token_without_ed25519_gets_a_cosigner_key_of_p256(tmp_path: Path) -> None:
    def init(**asked: Any) -> dict[str, Any]:
        if "cosigner_key" not in asked:
            raise ChopmarkError("no-such-mechanism", "no Ed25519")
        raise ChopmarkError("made", "so far")

    scene, desk, admin = make_scene(tmp_path, "yes", gateway_init=init)
    scene.notes.write(Noted(who=WHO, token=TOKEN))
    with pytest.raises(ChopmarkError, match="so far"):
        await keys.do_keys(scene)
    assert [one[1].get("cosigner_key") for one in admin.done] == [None, "p256"]
    assert "P-256" in desk.text


async def test_ctrl_c_leaves_the_step_open_and_says_how_it_goes_on(tmp_path: Path) -> None:
    scene, desk, _ = make_scene(tmp_path, CTRL_C)
    with pytest.raises(ChopmarkError):
        await go_through(scene)
    assert "Step `name` is left open" in desk.text


async def test_showing_the_steps_asks_nothing(tmp_path: Path) -> None:
    scene, desk, _ = make_scene(tmp_path)
    await show(scene)
    assert [line for line in desk.said if line.startswith("[")] == desk.said
    assert len(desk.said) == len(STEPS)
    assert desk.asked == []


def test_damaged_notes_are_as_good_as_none(tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    notes.write(Noted(who=WHO))
    (tmp_path / "commissioning.json").write_text("{")
    assert notes.read() == Noted()
