"""Gateways that anchor their heads: keys, accounts and configuration."""

import json
from collections.abc import Sequence

from rig.gateway import Gateway


def deploy(gateway: Gateway, url: str) -> dict[str, object]:
    """Put the contract onto the chain behind `url`, as anybody may."""
    made: dict[str, object] = json.loads(gateway.cli("--json", "anchor", "deploy", url).stdout)
    return made


def follow_chain(
    gateway: Gateway, urls: Sequence[str], contract: dict[str, object], **more: object
) -> str:
    """Configure [anchor] and make the account's key; gives the account. Before its start."""
    listed = ", ".join(f'"{url}"' for url in urls)
    values = {"chain_id": 20_200, "every": 1, "poll": 0.2, **more, **contract}
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    block = "\n".join(["", "[anchor]", f"endpoints = [{listed}]", *lines, ""])
    text = gateway.config.read_text()
    gateway.config.write_text(text.replace("\n[[broker]]", f"{block}\n[[broker]]", 1))
    if more.get("publish") is False:
        return ""
    account: str = json.loads(gateway.cli("--json", "anchor", "init").stdout)["account"]
    return account


def name_accounts(gateway: Gateway, accounts: dict[str, str]) -> None:
    """Write the accounts of its peers into its [[peer]] blocks, by member id."""
    text = gateway.config.read_text()
    for member, account in accounts.items():
        begin = f'[[peer]]\nid = "{member}"\n'
        text = text.replace(begin, f'{begin}chain = "{account}"\n')
    gateway.config.write_text(text)


def join_chain(
    gateways: Sequence[Gateway], urls: Sequence[str], **more: object
) -> dict[str, object]:
    """Deploy, and have all these gateways anchor and follow; before their start."""
    contract = deploy(gateways[0], urls[0])
    accounts = {one.who.id: follow_chain(one, urls, contract, **more) for one in gateways}
    for one in gateways:
        name_accounts(one, {id_: a for id_, a in accounts.items() if id_ != one.who.id})
    return contract
