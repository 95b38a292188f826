"""The steps in their order, and going through them.

Rules:

1. Each time, the box is looked at; what is done is told and not asked again.
2. A step is done when looking shows it, not because it was gone through.
3. Whatever ends a step leaves it open; the next `commission` begins there.
"""

from contextlib import suppress
from typing import Final

from chopmark.console.commissioning.ground import CLOCK, NETWORK
from chopmark.console.commissioning.keys import KEYS, TOKEN
from chopmark.console.commissioning.members import IDENTITY, MEMBERS
from chopmark.console.commissioning.naming import NAME
from chopmark.console.commissioning.running import ATTESTATION, DAEMON, PEERS
from chopmark.console.commissioning.scene import Scene, Step
from chopmark.console.commissioning.transport import BROKER, CERTIFICATE
from chopmark.console.desk import HungUpError, InterruptedByUserError
from chopmark.core.errors import ChopmarkError, TryAgainError

STEPS: Final[tuple[Step, ...]] = (
    *(NAME, NETWORK, CLOCK, TOKEN, KEYS, CERTIFICATE, BROKER),
    *(IDENTITY, DAEMON, MEMBERS, PEERS, ATTESTATION),
)


async def go_through(scene: Scene) -> None:
    """From the first step that is open to the last.

    Raises:
        ChopmarkError: what has stopped a step; `step-open` if it is open after it was done.
    """
    await scene.say("begin", steps=len(STEPS))
    for number, step in enumerate(STEPS, 1):
        if await scene.config() is not None:
            scene.notes.forget_names()
        await _take(scene, number, step)
    scene.notes.remove()
    await scene.say("end")


async def show(scene: Scene) -> None:
    """Each step, and whether it is done; nothing is asked or changed."""
    for number, step in enumerate(STEPS, 1):
        try:
            seen = await step.look(scene)
        except ChopmarkError as error:
            await _tell(scene, number, step, scene.t("unseen", problem=error.message))
            continue
        state = scene.t("done", told=seen.told) if seen.done else scene.t("open")
        await _tell(scene, number, step, state)


async def _take(scene: Scene, number: int, step: Step) -> None:
    seen = await step.look(scene)
    if not seen.done:
        await _tell(scene, number, step, scene.t(f"{step.name}.about"))
        await scene.say(f"{step.name}.help")
        await _do(scene, step)
        seen = await step.look(scene)
        if not seen.done:
            message = f"the step {step.name} is still open"
            hint = "`show status` says how the box is; then `commission` again"
            raise TryAgainError("step-open", message, hint=hint)
    await _tell(scene, number, step, scene.t("done", told=seen.told))


async def _do(scene: Scene, step: Step) -> None:
    try:
        await step.do(scene)
    except HungUpError:
        raise
    except ChopmarkError:
        with suppress(InterruptedByUserError):
            await scene.say("left", name=scene.t(f"{step.name}.name"))
        raise


async def _tell(scene: Scene, number: int, step: Step, what: str) -> None:
    name = scene.t(f"{step.name}.name")
    await scene.around.desk.say(f"[{number}/{len(STEPS)}] {name}: {what}")
