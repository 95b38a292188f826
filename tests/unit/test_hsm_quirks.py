import pytest

from chopmark.hsm.quirks import ANY, PROFILES, find_profile


@pytest.mark.parametrize(
    ("manufacturer", "on_disk", "unsaid"),
    [
        ("SoftHSM", True, set()),
        ("tpm2-software.github.io", True, {"ENCRYPT", "VERIFY"}),
        ("PKCS#11 Kit", True, set()),
        ("Mozilla Foundation", True, set()),
        ("Acme Hardware Security", False, set()),
        ("", False, set()),
    ],
)
def test_profile_is_found_by_the_manufacturers_name(
    manufacturer: str, *, on_disk: bool, unsaid: set[str]
) -> None:
    profile = find_profile(manufacturer)
    assert profile.on_disk is on_disk
    assert {name.name for name in profile.unsaid} == unsaid


def test_every_profile_names_its_maker_and_differs_from_the_rest() -> None:
    assert all(profile.maker for profile in PROFILES)
    assert ANY not in PROFILES
