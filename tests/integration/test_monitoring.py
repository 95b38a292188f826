"""Dashboard and alert rules, as promtool and their own page see them."""

import json
import re
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from chopmark.service.alarms import CODES

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "docs/operations"
RULES: Final[dict[str, dict[str, Any]]] = {
    rule["alert"]: rule
    for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
}
BOARD: Final = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
PANELS: Final = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
PAGE: Final = (FOLDER / "monitoring.md").read_text(encoding="utf-8")

STEP: Final = 120
"""Seconds between two values, and two looks at the rules."""
HOLDS: Final = 40
"""Minutes for which a thing is as it is, besides the time that the alert waits."""

Series = dict[str, str]
"""Values by series, as promtool writes them: `0x5` is 0 six times, `0+7x5` grows by 7 each time."""


def alarm(code: str) -> tuple[Series, Series]:
    name = f'chopmark_alarm{{code="{code}"}}'
    return {name: "1x99"}, {name: "0x99", 'chopmark_alarm{code="another"}': "1x99"}


def one(name: str, fires: str, quiet: str) -> tuple[Series, Series]:
    return {name: fires}, {name: quiet}


def buckets(name: str, slow: str, quick: str) -> tuple[Series, Series]:
    """A histogram of two bounds: all within 10 s, and within 0.1 s where it is quiet."""
    low, high, end = (f'{name}_bucket{{le="{bound}"}}' for bound in ("0.1", "10", "+Inf"))
    return {low: slow, high: quick, end: quick}, {low: quick, high: quick, end: quick}


CASES: Final[dict[str, tuple[Series, Series]]] = {
    "ChopmarkDown": one("up", "0x99", "1x99"),
    "ChopmarkRestarts": one("process_start_time_seconds", "0+5x99", "7x99"),
    "ChopmarkNotReady": one("chopmark_ready", "0x99", "1x99"),
    "ChopmarkUnsigned": (
        {"chopmark_log_entries": "9x99", "chopmark_log_signed_entries": "7x99"},
        {"chopmark_log_entries": "9+9x99", "chopmark_log_signed_entries": "7+9x99"},
    ),
    "ChopmarkSigningSlow": buckets("chopmark_log_signed_wait_seconds", "0x99", "0+60x99"),
    "ChopmarkOverloaded": one(
        'chopmark_api_problems_total{code="queue-full"}', "0+600x99", "0+6x99"
    ),
    "ChopmarkConnectionsRefused": one(
        'chopmark_api_refusals_total{reason="too-many-connections"}', "0+1x99", "5x99"
    ),
    "ChopmarkInternalErrors": one(
        'chopmark_api_problems_total{code="internal-error"}', "0+1x99", "5x99"
    ),
    "ChopmarkEventLoopLate": one("chopmark_event_loop_lag_max_seconds", "2x99", "0.5x99"),
    "ChopmarkWitnessLag": one('chopmark_witness_lag_entries{peer="sz-1"}', "7x99", "7 0 " * 50),
    "ChopmarkHsmNotTried": one("chopmark_hsm_last_good_timestamp_seconds", "0x99", f"0+{STEP}x99"),
    "ChopmarkHsmErrors": one(
        'chopmark_hsm_errors_total{code="CKR_DEVICE_ERROR"}', "0+1x99", "9x99"
    ),
    "ChopmarkHsmBadSignature": one("chopmark_hsm_bad_signatures_total", "0+1x99", "1x99"),
    "ChopmarkHsmSlow": buckets("chopmark_hsm_signing_seconds", "0x99", "0+60x99"),
    "ChopmarkBrokerAway": one('chopmark_broker_connected{broker="b:1"}', "0x99", "1x99"),
    "ChopmarkNoBroker": (
        {f'chopmark_broker_connected{{broker="{name}"}}': "0x99" for name in ("a:1", "b:1")},
        {
            'chopmark_broker_connected{broker="a:1"}': "0x99",
            'chopmark_broker_connected{broker="b:1"}': "1x99",
        },
    ),
    "ChopmarkPeerOffline": one('chopmark_peer_online{peer="sz-1"}', "0x99", "1x99"),
    "ChopmarkReplicaStale": one(
        'chopmark_replica_as_of_timestamp_seconds{peer="sz-1"}', "0x99", f"0+{STEP}x99"
    ),
    "ChopmarkReplicaBehind": one(
        'chopmark_replica_missing_entries{peer="sz-1"}', "9x99", "9 0 " * 50
    ),
    "ChopmarkPaceSlowed": one("chopmark_pace_slowed", "1x99", "0x99"),
    "ChopmarkBadMessages": one(
        'chopmark_bad_messages_total{peer="sz-1",code="malformed-note"}', "0+60x99", "0+1x99"
    ),
    "ChopmarkStorageFillsUp": one("chopmark_storage_left_seconds", "86400x99", "8640000x99"),
    "ChopmarkClockDrift": one("chopmark_clock_timestamp_seconds", f"30+{STEP}x99", f"0+{STEP}x99"),
}
"""By alert that is no alarm's: series with which it fires, and with which it does not."""
for _name, _rule in RULES.items():
    if (
        _code := re.fullmatch(r'chopmark_alarm\{code="([a-z-]+)"\} == 1', _rule["expr"])
    ) is not None:
        CASES[_name] = alarm(_code[1])


def promtool(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, check=False, **more
    )


def box(name: str, *, fires: bool) -> dict[str, str]:
    """The labels of the gateway of one case."""
    return {"job": "chopmark", "instance": f"{name} {'bad' if fires else 'good'}"}


def inputs(name: str) -> list[dict[str, str]]:
    """The series of an alert's two cases."""
    found = []
    for series, fires in zip(CASES[name], (True, False), strict=True):
        where = ",".join(f'{key}="{value}"' for key, value in box(name, fires=fires).items())
        for key, values in series.items():
            metric, _, labels = key.rstrip("}").partition("{")
            full = f"{metric}{{{where}{',' if labels else ''}{labels}}}"
            found.append({"series": full, "values": values})
    return found


def check(name: str) -> dict[str, Any]:
    """That after a while the alert fires for the bad case, and for no other gateway."""
    minutes = _minutes(RULES[name].get("for", "0m")) + HOLDS
    return {"eval_time": f"{minutes}m", "alertname": name, "exp_alerts": [expected(name)]}


def _minutes(text: str) -> int:
    return int(text[:-1]) * {"m": 1, "h": 60}[text[-1]]


def expected(name: str) -> dict[str, Any]:
    """The alert with the labels that its expression leaves, and annotations that name them."""
    rule, series = RULES[name], next(iter(CASES[name][0]))
    labels = box(name, fires=True) | dict(re.findall(r'(\w+)="([^"]+)"', series))
    kept = re.search(r"by \(([\w, ]+)\)", rule["expr"])
    if kept is not None:
        labels = {key: value for key, value in labels.items() if key in kept[1].split(", ")}
    labels.pop("le", None)
    told = {
        key: re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: labels[found[1]], text)
        for key, text in rule["annotations"].items()
    }
    return {"exp_labels": labels | rule["labels"], "exp_annotations": told}


def unit_test(*names: str) -> dict[str, Any]:
    """One of promtool's, in which the gateways of all these cases are there at once."""
    series = [one for name in names for one in inputs(name)]
    checks = [check(name) for name in names]
    return {"interval": f"{STEP}s", "input_series": series, "alert_rule_test": checks}


def test_promtool_takes_the_rules() -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", str(FOLDER / "alerts.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_fires_and_does_not_fire(tmp_path: Path) -> None:
    assert CASES.keys() == RULES.keys()
    apart = "ChopmarkNoBroker"  # where it fires, ChopmarkBrokerAway does as well
    tests = [unit_test(*(name for name in CASES if name != apart)), unit_test(apart)]
    rules = {"rule_files": [str(FOLDER / "alerts.yaml")], "evaluation_interval": f"{STEP}s"}
    file = tmp_path / "tests.json"  # JSON is YAML
    file.write_text(json.dumps(rules | {"tests": tests}))
    done = promtool("test", "rules", str(file))
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


def test_each_alarm_has_an_alert_and_no_other() -> None:
    named = [
        code
        for rule in RULES.values()
        for code in re.findall(r'code="([a-z-]+)"\} ==', rule["expr"])
    ]
    assert sorted(named) == sorted(CODES)
    api = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    table = api.partition("`alarms` lists what")[2].partition("## Metrics")[0]
    rows = re.findall(r"^\| (`.*?) \| ", table, re.MULTILINE)
    assert sorted(code for row in rows for code in re.findall(r"`([a-z-]+)`", row)) == sorted(CODES)


def test_codes_are_all_that_the_gateway_raises() -> None:
    """By the words in the code: an alarm that nobody has listed would have no alert."""
    folder = ROOT / "daemon/chopmark"
    paths = [*(folder / "service").glob("*.py"), folder / "api/trust.py"]
    code = "".join(path.read_text(encoding="utf-8") for path in paths)
    raised = set(re.findall(r'"code": "([a-z-]+)", (?:"message"|\*\*)', code))
    raised |= set(re.findall(r'(?:_alarm|Gate|found\.append\()\("([a-z-]+)"', code))
    assert len(raised) > 18
    assert "tls-files-wrong" in raised
    assert raised <= set(CODES)


def test_page_has_a_row_for_each_alert_with_its_severity() -> None:
    rows = re.findall(r"^\| `(Chopmark\w+)` \| (\w+) \|", PAGE, re.MULTILINE)
    assert rows == [(name, rule["labels"]["severity"]) for name, rule in RULES.items()]
    for rule in RULES.values():
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert set(rule["annotations"]) == {"summary", "action"}


def test_actions_name_pages_and_commands_that_are_there() -> None:
    commands = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    for name, rule in RULES.items():
        action = rule["annotations"]["action"]
        for path, anchor in re.findall(r"docs/([\w/-]+\.md)(?:#([\w-]+))?", action):
            text = (ROOT / "docs" / path).read_text(encoding="utf-8")
            headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}
            assert not anchor or anchor in slugs, (name, path, anchor)
        for command in re.findall(r"`(chopmark [a-z]+(?: [a-z]+)?)", action):
            assert command in commands, (name, command)


def test_dashboard_is_one_that_grafana_can_import() -> None:
    assert (BOARD["schemaVersion"], BOARD["title"]) == (39, "chopmark gateways")
    assert "id" not in BOARD, "Grafana gives the number"
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids)
    variables = {one["name"]: one["type"] for one in BOARD["templating"]["list"]}
    assert variables == {"datasource": "datasource", "instance": "query"}
    for panel in PANELS:
        assert panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["targets"]
        for target in panel["targets"]:
            assert 'instance=~"$instance"' in target["expr"], target["expr"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    titles = [panel["title"] for panel in PANELS]
    assert len(set(titles)) == len(titles)


def test_panels_lie_side_by_side_in_24_columns() -> None:
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24
    for first, second in combinations([panel["gridPos"] for panel in BOARD["panels"]], 2):
        beside = first["x"] + first["w"] <= second["x"] or second["x"] + second["w"] <= first["x"]
        below = first["y"] + first["h"] <= second["y"] or second["y"] + second["h"] <= first["y"]
        assert beside or below, (first, second)


@pytest.mark.parametrize(
    "subject",
    [
        "rate(",
        "histogram_quantile",
        "hsm",
        "witness",
        "replica",
        "broker",
        "storage",
        "clock",
        "event_loop",
        "problems",
        "refusals",
        "audit",
        "roster",
    ],
)
def test_dashboard_shows(subject: str) -> None:
    assert any(subject in target["expr"] for panel in PANELS for target in panel["targets"])
