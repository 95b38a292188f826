"""The page on configuration tells the truth: its example loads, and each key has a row."""

import re
from pathlib import Path

import pytest

from chopmark.service.config import parse_config
from chopmark.service.config_model import (
    Anchor,
    Backup,
    Broker,
    BrokerTls,
    Clock,
    Firmware,
    Gateway,
    Hsm,
    Kind,
    Metrics,
    Peer,
    Retention,
    Start,
    Storage,
    Syslog,
    Witness,
    WitnessLog,
)
from chopmark.service.config_model_api import (
    Api,
    ApiClient,
    ApiOidc,
    ApiPage,
    ApiTls,
    ApiUser,
    OidcGroup,
)
from configs import BASE

PAGE = (Path(__file__).parents[2] / "docs/configuration.md").read_text(encoding="utf-8")
SECTIONS = {
    "[gateway]": Gateway,
    "[anchor]": Anchor,
    "[hsm]": Hsm,
    "[api]": Api,
    "[api.tls]": ApiTls,
    "[api.page]": ApiPage,
    "[api.oidc]": ApiOidc,
    "[[api.oidc.group]]": OidcGroup,
    "[[api.client]]": ApiClient,
    "[[api.user]]": ApiUser,
    "[metrics]": Metrics,
    "[start]": Start,
    "[storage]": Storage,
    "[retention]": Retention,
    "[audit.syslog]": Syslog,
    "[backup]": Backup,
    "[firmware]": Firmware,
    "[clock]": Clock,
    "[witness]": Witness,
    "[[broker]]": Broker,
    "[broker.tls]": BrokerTls,
    "[kinds.<kind>]": Kind,
    "[[witness.log]]": WitnessLog,
    "[[peer]]": Peer,
}


def rows(title: str) -> dict[str, str]:
    """Keys of a section's table with their defaults."""
    text = PAGE.partition(f"\n## `{title}`")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", text, re.MULTILINE))


def fields_of(title: str) -> tuple[str, ...]:
    """Keys of a section, without the blocks that have sections of their own."""
    names = SECTIONS[title].__struct_fields__
    inner = {name: f"[{title.strip('[]')}.{name}]" for name in names}
    return tuple(name for name in names if not {inner[name], f"[{inner[name]}]"} & set(SECTIONS))


def test_docs_example_loads_and_uses_every_key() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    config = parse_config(example.encode())
    assert config.kinds["bank-statement"].max_age == 86_400
    assert config.peers[0].id == "sz-1"
    keys = set(re.findall(r"^(\w+) = ", example, re.MULTILINE))
    fields = {name for title in SECTIONS for name in fields_of(title)}
    assert keys == fields - {"token_serial", "group"}


@pytest.mark.parametrize("title", SECTIONS)
def test_docs_have_a_row_for_each_key_and_no_other(title: str) -> None:
    assert tuple(rows(title)) == fields_of(title)


def test_docs_give_the_defaults() -> None:
    config = parse_config(BASE.encode())
    assert rows("[gateway]")["state"] == f"`{config.gateway.state}`"
    assert rows("[gateway]")["kinds"] == '`["*"]`'
    assert rows("[hsm]")["log_label"] == f"`{config.hsm.log_label}`"
    assert rows("[hsm]")["cosigner_label"] == f"`{config.hsm.cosigner_label}`"
    assert rows("[hsm]")["witness_label"] == f"`{config.hsm.witness_label}`"
    assert rows("[hsm]")["pin_credential"] == f"`{config.hsm.pin_credential}`"
    assert rows("[api]")["socket"] == f"`{config.api.socket}`"
    assert rows("[metrics]")["listen"] == f"`{config.metrics.listen}`"
    assert rows("[storage]")["alarm"] == f"`{config.storage.alarm}`"
    assert rows("[storage]")["stop"] == f"`{config.storage.stop}`"
    assert rows("[clock]")["require"] == f"`{config.clock.require}`"
    assert rows("[witness]")["rule"] == f'`"{config.witness.rule}"`'
    assert rows("[[broker]]")["port"] == f"`{config.broker[0].port}`, with `tls` `8883`"
    assert rows("[kinds.<kind>]")["max_age"] == f"`{config.max_age('x')}`"


def test_docs_give_a_reason_for_each_dependency() -> None:
    root = Path(__file__).parents[2]
    project = (root / "pyproject.toml").read_text(encoding="utf-8")
    listed = project.partition("\ndependencies = [")[2].partition("[project.scripts]")[0]
    reasons = (root / "docs/dependencies.md").read_text(encoding="utf-8")
    for name in re.findall(r'^ +"([a-z0-9-]+)[<>=]', listed, re.MULTILINE):
        assert re.search(rf"^\| [^|]*\b{name}\b[^|]*\| [^|]+\|", reasons, re.MULTILINE), name
