"""Putting the contract onto a chain, once for all members.

Nobody administers it, so that it does not matter who puts it there: a key that is made for this and
forgotten will do, unless the chain lets only some accounts deploy.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from chopmark.anchor.contract import load_contract, read_bytes, read_number
from chopmark.anchor.rpc import Node, RpcError
from chopmark.anchor.software import SoftwareAccount, make_key, sign_transaction
from chopmark.core.errors import RefusedError, TryAgainError
from chopmark.core.transaction import Transaction, transaction_hash

_GAS: Final = 5_000_000
_WAIT: Final = 60
"""Looks for the receipt, one a second."""
_HINT: Final = "where only some accounts may deploy, or accounts need a balance: --key FILE"


async def deploy(
    node: Node, chain_id: int, key: EllipticCurvePrivateKey | None = None
) -> tuple[str, int]:
    """Deploy the contract; gives its address and the block.

    Args:
        node: of the chain.
        chain_id: of the chain.
        key: of the account that deploys; None for a new one that is forgotten.

    Raises:
        RefusedError: `other-chain`, `deploy-refused`.
        TryAgainError: `deploy-unknown`: it is in no block yet.
        ChopmarkError: what `Node.call` raises.
    """
    found = read_number(await node.call("eth_chainId"))
    if found == 0 or found != chain_id:
        raise RefusedError("other-chain", f"{node.url} is of chain {found}, not of {chain_id}")
    key = key or make_key()
    account = SoftwareAccount(key, "").account
    nonce = read_number(await node.call("eth_getTransactionCount", account, "latest"))
    code = bytes.fromhex(load_contract()["bytecode"])
    raw = sign_transaction(key, Transaction(chain_id, nonce, _GAS, b"", code))
    try:
        await node.call("eth_sendRawTransaction", "0x" + raw.hex())
    except RpcError as error:
        if error.transaction is None:
            raise RefusedError("deploy-refused", error.message, hint=_HINT) from error
    return _read(await _wait(node, transaction_hash(raw)))


async def _wait(node: Node, transaction: str) -> Mapping[str, Any]:
    for _ in range(_WAIT):
        receipt = await node.call("eth_getTransactionReceipt", transaction)
        if isinstance(receipt, dict):
            return receipt
        await asyncio.sleep(1)
    message = f"the transaction {transaction} is in no block yet"
    raise TryAgainError("deploy-unknown", message, hint="does the chain make blocks?")


def _read(receipt: Mapping[str, Any]) -> tuple[str, int]:
    """The address as the chain says it: FISCO BCOS does not compute it as Ethereum does."""
    if read_number(receipt.get("status", "0x1")) != 1:
        raise RefusedError("deploy-refused", "the chain has not made the contract", hint=_HINT)
    address = "0x" + read_bytes(receipt.get("contractAddress"), 20).hex()
    return address, read_number(receipt.get("blockNumber"))
