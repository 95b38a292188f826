"""A STAND-IN for FISCO BCOS's Web3 interface: a proxy in front of a plain EVM node.

It is not FISCO BCOS, and nothing that passes here has been shown to work there. It imposes on
whoever talks to the node what was read in the code of FISCO BCOS 3.16, as far as a proxy can:

1. `eth_getLogs` looks at the first 10 blocks of a range only, and says nothing of the rest.
2. Batches of more than 8 calls are refused, as a whole.
3. `finalized`, `safe` and `pending` mean `latest`.
4. Blocks that are asked for do not matter where state is read: it is always the newest.
5. The price of gas is 0x0, in all its forms.
6. `eth_accounts` is empty; `eth_sendTransaction` answers a zero hash, and `eth_sign` 0x00, as if
   they had done something.
7. Hashes and roots of blocks are others than Ethereum's.
8. Times of blocks are in seconds here, and in milliseconds within contracts (`rig.chain` starts the
   node so).
9. The first block's extraData is long.
10. Receipts that are not known are null.
11. The chain's id can be 0x0, as where none was set.
12. Events are numbered within their transaction, not within the block.
13. With `poor`, transactions are refused, as those of accounts without any balance are since
    3.16.4, whatever the price of gas.
14. With `sync`, sending waits for the block, and what was reverted there comes back as an error
    with the hash of a transaction that is on the chain.
15. Methods that FISCO BCOS does not have do not exist.

Not imposed: that addresses of contracts are computed otherwise, PBFT, TLS and the rest.
"""

import hashlib
import http.client
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self
from urllib.parse import urlsplit

from rig.broker import free_port
from rig.patience import PATIENCE

BLOCKS: Final = 10
BATCH: Final = 8
METHODS: Final = frozenset(
    (
        *("web3_clientVersion", "web3_sha3", "net_version", "net_listening", "net_peerCount"),
        *("eth_protocolVersion", "eth_syncing", "eth_coinbase", "eth_chainId", "eth_mining"),
        *("eth_hashrate", "eth_gasPrice", "eth_accounts", "eth_blockNumber", "eth_getBalance"),
        *("eth_getStorageAt", "eth_getTransactionCount", "eth_getCode", "eth_sign", "eth_call"),
        *("eth_getBlockTransactionCountByHash", "eth_getBlockTransactionCountByNumber"),
        *("eth_sendTransaction", "eth_signTransaction", "eth_sendRawTransaction"),
        *("eth_estimateGas", "eth_getBlockByHash", "eth_getBlockByNumber"),
        *("eth_getTransactionByHash", "eth_getTransactionByBlockHashAndIndex"),
        *("eth_getTransactionByBlockNumberAndIndex", "eth_getTransactionReceipt"),
        *("eth_newFilter", "eth_newBlockFilter", "eth_newPendingTransactionFilter"),
        *("eth_uninstallFilter", "eth_getFilterChanges", "eth_getFilterLogs", "eth_getLogs"),
        "eth_maxPriorityFeePerGas",
    )
)
_STATE: Final = {"eth_getBalance": 1, "eth_getCode": 1, "eth_getStorageAt": 2, "eth_call": 1}
_FIXED: Final[dict[str, object]] = {
    "eth_accounts": [],
    "eth_sendTransaction": "0x" + "0" * 64,
    "eth_sign": "0x00",
    "eth_gasPrice": "0x0",
    "eth_maxPriorityFeePerGas": "0x0",
    "eth_mining": False,
    "net_peerCount": "0x3",
    "web3_clientVersion": "stand-in for FISCO BCOS",
}
_HASHED: Final = ("blockHash", "parentHash", "transactionsRoot", "receiptsRoot", "stateRoot")


class StandIn:
    """The proxy, on a thread of its own; `sync` and the like may be changed while it runs.

    Attributes:
        sync: as `sync_transaction` of a node's configuration.
        unnumbered: the chain's id is 0x0.
        hide: blocks of which `eth_getLogs` tells nothing, for tests of readers.
        poor: whoever sends has no balance.
        lose: transactions are taken, and go nowhere, for the same.
        away: whoever asks is thrown out.
        asked: how often each method was asked for.
    """

    def __init__(self, upstream: str, port: int | None = None) -> None:
        self.sync = self.unnumbered = self.poor = self.lose = self.away = False
        self.hide: set[int] = set()
        self.asked: dict[str, int] = {}
        self._upstream = urlsplit(upstream)
        self.port = free_port() if port is None else port
        self.url = f"http://127.0.0.1:{self.port}"
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> Self:
        """Serve."""
        standin = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if standin.away:
                    self.close_connection = True
                    return
                try:
                    answer = json.dumps(standin.answer(json.loads(body))).encode()
                except (OSError, http.client.HTTPException):
                    self.close_connection = True
                    return
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """Say nothing of clients that were killed."""

        self._server = Server(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def stop(self) -> None:
        """End it."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer(self, asked: Any) -> Any:
        """Answer a request, or a batch of them."""
        if not isinstance(asked, list):
            return self._one(asked)
        if len(asked) > BATCH:
            return _error(None, -32600, f"batch request size exceeds the limit {BATCH}")
        return [self._one(one) for one in asked]

    def _one(self, asked: dict[str, Any]) -> dict[str, Any]:
        number, method = asked.get("id"), asked["method"]
        params = list(asked.get("params") or [])
        self.asked[method] = self.asked.get(method, 0) + 1
        if method not in METHODS:
            return _error(number, -32601, f"Method not found: {method}")
        if method in _FIXED:
            return _result(number, _FIXED[method])
        if method == "eth_chainId" and self.unnumbered:
            return _result(number, "0x0")
        if method == "eth_sendRawTransaction":
            return self._send(number, params)
        self._bend(method, params)
        answer = self._ask(method, params)
        if answer.get("result") is not None:
            answer["result"] = self._dress(method, answer["result"])
        return {**answer, "id": number}

    def _bend(self, method: str, params: list[Any]) -> None:
        """Ask for what FISCO BCOS would look at."""
        for place, value in enumerate(params):
            if value in ("finalized", "safe", "pending"):
                params[place] = "latest"
        if method in _STATE:
            params[_STATE[method] :] = ["latest"]
        if method == "eth_getTransactionCount" and params[1:] != ["pending"]:
            params[1:] = ["latest"]
        if method == "eth_getLogs":
            params[0] = self._cut(dict(params[0]))

    def _cut(self, wanted: dict[str, Any]) -> dict[str, Any]:
        if "blockHash" in wanted:
            return wanted
        newest = int(self._ask("eth_blockNumber", [])["result"], 16)
        first, last = (
            _block(wanted.get(name, "latest"), newest) for name in ("fromBlock", "toBlock")
        )
        return wanted | {"fromBlock": hex(first), "toBlock": hex(min(last, first + BLOCKS - 1))}

    def _dress(self, method: str, result: Any) -> Any:
        """Make an answer look as FISCO BCOS's."""
        if method == "eth_getLogs":
            told = [one for one in result if int(one["blockNumber"], 16) not in self.hide]
            return [_rename(one) for one in _number(told)]
        if method.startswith("eth_getBlockBy"):
            block = _rename(result)
            block |= {"hash": _other(result["hash"]), "baseFeePerGas": "0x0"}
            block["gasLimit"] = hex(30_000_000)
            block["timestamp"] = hex(int(result["timestamp"], 16) // 1000)
            if int(result["number"], 16) == 0:
                block["extraData"] = "0x" + "5b636861696e5d0a" * 300
            return block
        return _rename(result) if isinstance(result, dict) else result

    def _send(self, number: object, params: list[Any]) -> dict[str, Any]:
        if self.poor:
            return _error(number, -32602, "InsufficientFunds")
        if self.lose:
            return _result(number, "0x" + hashlib.sha256(params[0].encode()).hexdigest())
        answer = self._ask("eth_sendRawTransaction", params)
        if not self.sync or "result" not in answer:
            return {**answer, "id": number}
        for _ in range(200):
            receipt = self._ask("eth_getTransactionReceipt", [answer["result"]])["result"]
            if receipt is not None and int(receipt["status"], 16) == 1:
                break
            if receipt is not None:
                refused = _error(number, 3, "execution reverted")
                refused["error"]["data"] = {"txHash": answer["result"]}
                return refused
            time.sleep(0.05)
        return {**answer, "id": number}

    def _ask(self, method: str, params: list[Any]) -> dict[str, Any]:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        connection = http.client.HTTPConnection(self._upstream.netloc, timeout=PATIENCE)
        try:
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return answer


def _block(value: str, newest: int) -> int:
    names = {"earliest": 0}
    return int(value, 16) if value.startswith("0x") else names.get(value, newest)


def _number(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Number events within their transactions; each of the contract has one."""
    return [event | {"logIndex": "0x0"} for event in events]


def _other(value: str) -> str:
    return "0x" + hashlib.sha256(value.encode()).hexdigest()


def _rename(value: dict[str, Any]) -> dict[str, Any]:
    changed = {name: _other(value[name]) for name in _HASHED if isinstance(value.get(name), str)}
    if isinstance(value.get("logs"), list):
        changed["logs"] = [_rename(one) for one in value["logs"]]
    if "effectiveGasPrice" in value:
        changed["effectiveGasPrice"] = "0x0"
    return value | changed


def _result(number: object, result: object) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "result": result}


def _error(number: object, code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": message}}


if __name__ == "__main__":  # python -m rig.standin NODE PORT
    StandIn(sys.argv[1], int(sys.argv[2])).start()
    threading.Event().wait()
