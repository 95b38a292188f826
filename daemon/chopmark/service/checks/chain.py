"""The chain of `[anchor]`: each node, whether it is of our chain, the contract, and our account.

Codes: `node-away`, `other-chain`, `other-contract`, `malformed-answer`, `rpc-refused`,
`bad-key-file`, `anchor-unlisted`, `anchor-no-key`, `anchor-plain`, `anchor-first-block`.
"""

import asyncio
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from chopmark.core.errors import ChopmarkError
from chopmark.service.checks.finding import Finding, Scene
from chopmark.service.config_model import Anchor


def check_chain(scene: Scene) -> Iterator[Finding]:
    """Look at each node; nothing without `[anchor]`."""
    anchor = scene.config.anchor
    if anchor is None:
        return
    for url in anchor.endpoints:
        if url.startswith("http://") and not _is_here(url):
            message = f"{url} is not reached by TLS"
            remedy = "a proxy with TLS before the node: whoever is on the way could hide anchors"
            yield Finding("anchor-plain", message, remedy, "warning")
    yield from asyncio.run(_look(anchor))
    if anchor.key_file is not None:
        from chopmark.anchor.software import load_key_file  # noqa: PLC0415 - of few gateways

        try:
            load_key_file(anchor.key_file)
        except ChopmarkError as error:
            yield scene.judge(error, "`chopmark anchor init` makes it")
    if scene.status is not None:
        yield from _judge_own(scene.status.get("anchor"))


async def _look(anchor: Anchor) -> list[Finding]:
    from chopmark.anchor.chain import View  # noqa: PLC0415 - of few gateways
    from chopmark.service.anchor_check import make_chain  # noqa: PLC0415 - of few gateways

    chain = make_chain(anchor)
    found: list[Finding] = []
    try:
        for endpoint in chain.endpoints:
            try:
                view = View(endpoint.node, chain.place)
                chain.known = await view.check(chain.known)
                found += _judge_height(anchor.first_block, await view.height())
            except ChopmarkError as error:
                found.append(Finding.of(error, "see docs/operations/anchor.md"))
    finally:
        await chain.close()
    return found


def _judge_height(first: int, height: int) -> Iterator[Finding]:
    if first > height:
        message = f"the chain ends at block {height}, and first_block is {first}: no anchor is seen"
        remedy = "the contract's own block, as `chopmark anchor deploy` has told it; or 0"
        yield Finding("anchor-first-block", message, remedy)


def _judge_own(anchor: Mapping[str, Any] | None) -> Iterator[Finding]:
    own = None if anchor is None else anchor["own"]
    if own is None:
        return
    if own["account"] is None:
        message = "there is no key of our account on the chain"
        remedy = "`chopmark anchor init`, then start the gateway again"
        yield Finding("anchor-no-key", message, remedy)
    elif not own["listed"]:
        message = f"the members do not know our account {own['account']}"
        remedy = (
            "`chopmark roster propose --chain`; without a roster, `chain` in their [[peer]] blocks"
        )
        yield Finding("anchor-unlisted", message, remedy, "warning")


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
