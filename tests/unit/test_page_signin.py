"""The view for signing in says the same in each language, and knows the codes that there are."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
VIEW = (ROOT / "daemon/chopmark/api/web/js/views/signin.js").read_text(encoding="utf-8")
API = (ROOT / "docs/api.md").read_text(encoding="utf-8")


def tables() -> dict[str, dict[str, str]]:
    """Messages by language."""
    text = VIEW.partition("export const messages = {\n")[2].partition("\n};")[0]
    found = re.findall(r'^  "?([\w-]+)"?: \{\n(.*?)^  \},', text, re.MULTILINE | re.DOTALL)
    return {
        tag: dict(re.findall(r'^    "(signin\.[^"]+)": "([^"]+)",$', rows, re.MULTILINE))
        for tag, rows in found
    }


def test_every_language_has_every_message_with_the_same_values() -> None:
    found = tables()
    assert set(found) == {"en", "zh-Hant", "zh-Hans"}
    english = {key: text for key, text in found["en"].items() if not key.endswith(".one")}
    assert len(english) > 50
    for tag in ("zh-Hant", "zh-Hans"):
        assert found[tag].keys() == english.keys()
        for key, text in found[tag].items():
            assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", english[key])), (
                key
            )


def test_every_message_is_used_and_every_one_used_is_there() -> None:
    code = VIEW.partition("export const messages")[0] + VIEW.partition("\n};")[2]
    english = tables()["en"]
    families = ("by", "role", "problem", "known", "minutes", "hours", "seconds")
    used = set(re.findall(r'"(signin(?:\.[a-z-]+)+)"', code))
    plain = {key for key in english if key.split(".")[1] not in families}
    assert plain <= used
    plural = {key.rpartition(".")[0] for key in english if key.endswith(".other")}
    assert used <= english.keys() | plural


def test_codes_of_problems_are_those_of_the_api() -> None:
    codes = re.findall(r'"([a-z-]+)"', VIEW.partition("const PROBLEMS = [")[2].partition("];")[0])
    assert len(codes) > 8
    english = tables()["en"]
    for code in codes:
        assert f"`{code}`" in API or code == "no-answer", code
        assert f"signin.problem.{code}" in english, code
