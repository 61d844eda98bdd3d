"""Who may do what, as the settings say."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from dashboard.access.roles import Access, Login, Role
from dashboard.launch import streamlit_arguments
from tapewatch.login import LoginError, read_access, read_login
from tapewatch.settings import Settings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "dashboard.md"
AUTH = """
[auth]
redirect_uri = "https://tapewatch.example.com/oauth2callback"
cookie_secret = "0123456789abcdef0123456789abcdef"
client_id = "tapewatch"
client_secret = "secret"
server_metadata_url = "https://id.example.com/.well-known/openid-configuration"
"""
ROLES = """
[roles]
default = "viewer"
claim = "groups"
max_age = "8h"
[roles.emails]
"Ann@Example.com" = "analyst"
[roles.groups]
platform = "operator"
"""


@pytest.fixture
def file(tmp_path):
    def written(content):
        path = tmp_path / "login.toml"
        path.write_text(content)
        return path

    return written


@pytest.mark.parametrize(
    ("address", "role", "expected"),
    [
        ("127.0.0.1", None, Role.OPERATOR),
        ("::1", None, Role.OPERATOR),
        ("localhost", None, Role.OPERATOR),
        ("0.0.0.0", None, Role.VIEWER),
        ("tapewatch.example.com", None, Role.VIEWER),
        ("127.0.0.1", "viewer", Role.VIEWER),
        ("0.0.0.0", "operator", Role.OPERATOR),
    ],
)
def test_without_a_login_only_this_machine_may_act_unasked(address, role, expected):
    settings = Settings(dashboard_address=address, dashboard_role=role, _env_file=None)
    assert read_access(settings) == Access(None, expected)


def test_a_login_gives_nobody_a_role_by_the_address_of_the_dashboard(file):
    settings = Settings(
        dashboard_login=file(AUTH + ROLES), dashboard_role="operator", _env_file=None
    )
    assert read_access(settings).everybody is Role.VIEWER
    assert read_access(settings).login is not None


def test_roles_are_read_by_address_and_by_group(file):
    assert read_login(file(AUTH + ROLES)) == Login(
        emails={"ann@example.com": Role.ANALYST},
        claim="groups",
        groups={"platform": Role.OPERATOR},
        default=Role.VIEWER,
        max_age=timedelta(hours=8),
    )


def test_several_providers_can_be_chosen_from(file):
    named = AUTH.replace('client_id = "tapewatch"', "") + '[auth.okta]\nclient_id = "t"\n'
    assert read_login(file(named + ROLES)).providers == ("okta",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[auth", "Expected"),
        (ROLES, r"\[auth\] is missing"),
        (AUTH, "gives nobody a role"),
        (AUTH + ROLES.replace("analyst", "admin"), "roles"),
        (AUTH + ROLES.replace("default", "defualt"), "defualt"),
        (AUTH + ROLES.replace("8h", "soon"), "no duration"),
        (AUTH + ROLES.replace("8h", "0h"), "max_age"),
        (AUTH + ROLES.replace('claim = "groups"', ""), "need each other"),
        (AUTH.replace("0123456789abcdef0123456789abcdef", "short") + ROLES, "cookie_secret"),
        (AUTH.replace("/oauth2callback", "/") + ROLES, "redirect_uri"),
    ],
)
def test_a_file_that_cannot_be_used_says_what_to_mend(file, content, said):
    with pytest.raises(LoginError, match=said) as refused:
        read_login(file(content))
    assert "login.toml" in str(refused.value)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(LoginError, match="cannot read"):
        read_login(tmp_path / "none.toml")


def test_streamlit_is_told_where_the_login_is(file):
    path = file(AUTH + ROLES)
    assert f"--secrets.files={path}" in streamlit_arguments("127.0.0.1", 8501, path)
    assert not [a for a in streamlit_arguments("127.0.0.1", 8501) if "secrets" in a]


def test_the_example_of_the_page_is_read_once_its_secret_is_made(file):
    (example,) = re.findall(r"```toml\n(\[auth\].*?)```", PAGE.read_text(), re.DOTALL)
    with pytest.raises(LoginError, match="openssl rand -hex 32"):
        read_login(file(example))
    login = read_login(file(example.replace("RANDOM", "0123456789abcdef" * 4)))
    assert login.emails == {"ann@example.com": Role.ANALYST}
    assert login.groups == {"platform": Role.OPERATOR}
    assert login.default is None
    assert login.max_age == timedelta(hours=12)


@pytest.mark.parametrize(
    ("roles", "person", "verified"),
    [
        ("", "email", "email_verified"),
        ('verified = "none"', "email", None),
        ('verified = "xms_edov"', "email", "xms_edov"),
        ('person = "sub"\nverified = "none"', "sub", None),
        ('person = "upn"\nverified = "upn_verified"', "upn", "upn_verified"),
    ],
)
def test_the_file_says_by_which_claim_somebody_is_known(file, roles, person, verified):
    login = read_login(file(f'{AUTH}[roles]\ndefault = "viewer"\n{roles}\n'))
    assert (login.person, login.verified) == (person, verified)


@pytest.mark.parametrize(
    ("roles", "told"),
    [
        ('person = "upn"', "say in `verified` which claim must be true"),
        ('person = ""', "name claims, not nothing"),
        ('verified = ""', "name claims, not nothing"),
        ('[roles.people]\n"a" = "viewer"', r"use \[roles.emails\]"),
        (
            'person = "sub"\nverified = "none"\n[roles.emails]\n"a@b.c" = "viewer"',
            r"use \[roles.people\]",
        ),
    ],
)
def test_a_name_that_anybody_could_choose_is_refused(file, roles, told):
    with pytest.raises(LoginError, match=told):
        read_login(file(f'{AUTH}[roles]\ndefault = "viewer"\n{roles}\n'))


def test_people_are_given_roles_by_another_claim_as_it_is_written(file):
    people = 'person = "sub"\nverified = "none"\n[roles.people]\n"aB1" = "operator"\n'
    assert read_login(file(f"{AUTH}[roles]\n{people}")).people == {"aB1": Role.OPERATOR}
