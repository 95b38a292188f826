"""Metrics and health of a real daemon, on a port of their own."""

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest
from documents import attest, some_document
from prometheus_client.parser import text_string_to_metric_families

from prometheus import Prometheus
from rig.authority import Authority
from rig.gateway import HONG_KONG, SHENZHEN, Cluster, Gateway
from rig.patience import PATIENCE

FOLDER: Final = Path(__file__).parents[2] / "docs/operations"
PAGE = (Path(__file__).parents[2] / "docs/api.md").read_text(encoding="utf-8")
ANCHORS = ("read_total", "transactions_total", "entries", "lag_blocks", "missing")
ABSENT = {"chopmark_storage_left_seconds", *(f"chopmark_anchor_{name}" for name in ANCHORS)}
"""Not there while the disk does not grow, and without a chain: `test_anchoring` sees those."""
MORE = """
[audit.syslog]
host = "127.0.0.1"
port = 1
ca = "{ca}"
"""
"""Of a SIEM that is away."""
NO_DATA = {
    *("Roster expires in", "Alarms that stand", "Time until the disk is full"),
    *("Refusals that callers were told", "Errors and outages", "Messages of no use"),
}
"""Panels of what is not there in gateways that are well, without a roster."""
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two gateways that countersign each other; of hk-1 there is all that can be measured."""
    folder = tmp_path_factory.mktemp("c")
    made = Cluster(folder, (HONG_KONG, SHENZHEN), "jurisdictions")
    config = made["hk-1"].config
    text = config.read_text().replace("# usage_limit", "usage_limit").replace("# after", "after")
    ca = Authority(folder, "ca").path
    config.write_text(text + MORE.format(ca=ca))
    try:
        yield made.start()
    finally:
        made.stop()


def get(gateway: Gateway, path: str, **headers: str) -> httpx.Response:
    return httpx.get(
        f"http://127.0.0.1:{gateway.metrics_port}{path}", headers=headers, timeout=PATIENCE
    )


def samples(gateway: Gateway) -> Samples:
    """All values, by name and labels, as Prometheus reads them."""
    answer = get(gateway, "/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_metrics_tell_what_the_parts_count(cluster: Cluster) -> None:
    issuer, receiver = cluster["hk-1"], cluster["sz-1"]
    before = samples(issuer)
    attest(issuer, some_document("counted"))
    after = samples(issuer)
    for name in ("chopmark_log_recorded_entries_total", "chopmark_log_appends_total"):
        assert after[name, ()] == before[name, ()] + 1
    assert after["chopmark_log_entries", ()] == after["chopmark_log_signed_entries", ()] == 1
    made = ("chopmark_hsm_signatures_total", (("type", "checkpoint"),))
    assert after[made] > before[made]
    assert after["chopmark_hsm_state", (("state", "ready"),)] == 1
    assert after["chopmark_hsm_state", (("state", "away"),)] == 0
    broker = (("broker", f"{cluster.broker.host}:{cluster.broker.port}"),)
    assert after["chopmark_broker_connected", broker] == after["chopmark_ready", ()] == 1
    receiver.wait_for_head(issuer, 1)
    assert samples(receiver)["chopmark_replica_signed_entries", (("peer", "hk-1"),)] == 1
    who = (("id", "hk-1"), ("origin", "bank-hk.example/hk-1"))
    identity = (*who, ("protocol", "1"), ("version", "0.1.0"))
    assert after["chopmark_gateway_info", identity] == 1


def test_disk_memory_and_loop_are_measured(cluster: Cluster) -> None:
    found = samples(cluster["hk-1"])
    size, free = found["chopmark_storage_size_bytes", ()], found["chopmark_storage_free_bytes", ()]
    assert 0 < free < size
    assert found["process_resident_memory_bytes", ()] > 1e7
    heartbeats = found["chopmark_event_loop_lag_seconds_count", ()]
    assert heartbeats > 0
    assert found["chopmark_event_loop_lag_seconds_bucket", (("le", "+Inf"),)] == heartbeats
    status = cluster["hk-1"].get("/v1/status")
    assert status["event_loop"]["lag_ms_max_minute"] > 0
    assert status["storage"]["total_bytes"] == size


def test_every_metric_of_ours_is_in_the_docs_and_no_other(cluster: Cluster) -> None:
    text = get(cluster["hk-1"], "/metrics").text
    served = set(re.findall(r"^# TYPE (chopmark_\w+)", text, re.MULTILINE))
    named = set(re.findall(r"`(chopmark_\w+)", PAGE.partition("| metric |")[2]))
    assert served == named - ABSENT


def test_promtool_finds_nothing_to_say_against_names_types_and_helps(cluster: Cluster) -> None:
    text = get(cluster["hk-1"], "/metrics").text
    command = ["promtool", "check", "metrics"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    bad = "# TYPE chopmark_waits_ms counter\nchopmark_waits_ms 1\n"
    done = subprocess.run(command, input=bad, capture_output=True, text=True, check=False)
    assert "no help text" in done.stderr
    assert '"_total" suffix' in done.stderr


def test_series_are_few_and_their_labels_come_from_us(cluster: Cluster) -> None:
    series = [key for key in samples(cluster["hk-1"]) if key[0].startswith("chopmark_")]
    assert len(series) < 300
    names = {name for _, labels in series for name, _ in labels}
    known = {"id", "origin", "version", "protocol", "code", "state", "peer", "broker", "le"}
    assert names <= known | {"type", "role", "rung", "reason", "verdict"}


def test_dashboard_and_alerts_name_metrics_that_are_there(cluster: Cluster) -> None:
    text = get(cluster["hk-1"], "/metrics").text
    served = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE)) | ABSENT | {"up"}
    for file in ("dashboard.json", "alerts.yaml", "monitoring.md"):
        used = re.findall(r"\b((?:chopmark|process)_\w+)", (FOLDER / file).read_text("utf-8"))
        assert used
        assert {name.removesuffix("_bucket") for name in used} <= served, file


def test_real_prometheus_evaluates_every_panel_and_every_rule(
    cluster: Cluster, tmp_path: Path
) -> None:
    """On gateways that are well: no panel is without data but those of what is not there."""
    targets = [f"127.0.0.1:{one.metrics_port}" for one in cluster.gateways.values()]
    board = json.loads((FOLDER / "dashboard.json").read_text("utf-8"))
    attest(cluster["hk-1"], some_document("for the graphs"))
    with Prometheus(tmp_path / "prometheus", targets, FOLDER / "alerts.yaml") as prometheus:
        prometheus.wait_for("rate(chopmark_log_signed_heads_total[1m])", 2)
        empty = set()
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                text = target["expr"].replace("$instance", ".+").replace("$__rate_interval", "1m")
                if not prometheus.query(text):
                    empty.add(panel["title"])
        prometheus.wait_for("chopmark_ready offset 2s", 2)  # rules were looked at meanwhile
        groups = prometheus.get("rules")["groups"]
    assert empty <= NO_DATA
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}
    assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []


def test_names_have_units_and_counters_end_in_total(cluster: Cluster) -> None:
    text = get(cluster["hk-1"], "/metrics").text
    for name, kind in re.findall(r"^# TYPE (chopmark_\w+) (\w+)", text, re.MULTILINE):
        assert name.endswith("_total") == (kind == "counter"), name
        assert not re.search(r"_(ms|minutes|kb|mb|percent)\b", name), name


def test_health_is_there_too(cluster: Cluster) -> None:
    gateway = cluster["hk-1"]
    assert get(gateway, "/healthz").text == "ok"
    assert get(gateway, "/readyz").json() == {"ready": True, "reasons": []}
    assert get(gateway, "/v1/status").status_code == 404
    assert get(gateway, "/metrics", host="evil.example").json()["code"] == "foreign-host"


def test_port_that_is_taken_is_a_configuration_error(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "c", (HONG_KONG,))
    gateway = cluster["hk-1"]
    try:
        with socket.create_server(("127.0.0.1", gateway.metrics_port)):
            gateway.launch()
            assert gateway._process is not None
            assert gateway._process.wait(PATIENCE) == 78
        said = gateway.log.read_text()
        assert f"cannot listen on 127.0.0.1:{gateway.metrics_port}: Address already in use" in said
        assert "[metrics]" in said
    finally:
        cluster.stop()


def test_metrics_can_be_switched_off(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "c", (SHENZHEN,))
    gateway = cluster["sz-1"]
    try:
        text = gateway.config.read_text()
        listen = f'listen = "127.0.0.1:{gateway.metrics_port}"'
        gateway.config.write_text(text.replace(listen, 'listen = ""'))
        gateway.start()
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", gateway.metrics_port)) != 0
        assert "metrics are served" not in gateway.log.read_text()
    finally:
        cluster.stop()
