"""Who may do what: the roles, whose role is which, and that every action asks."""

import inspect
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from support.pages import open_at, texts

from dashboard.access import acting
from dashboard.access.acting import Actor, AlertName
from dashboard.access.roles import (
    LOOK_ONLY,
    NEEDED,
    Access,
    AccessDeniedError,
    Deed,
    Login,
    Role,
    Standing,
    User,
    identify,
    require,
)
from store.corrections import Correction

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
ANN = {
    "is_logged_in": True,
    "email": "Ann@Example.com",
    "email_verified": True,
    "iat": (NOW - timedelta(hours=1)).timestamp(),
}
LOGIN = Login(
    emails={"ann@example.com": Role.ANALYST},
    claim="groups",
    groups={"desk": Role.ANALYST, "platform": Role.OPERATOR},
)


def who(claims, login=LOGIN, now=NOW):
    return identify(Access(login), claims, now)


@pytest.mark.parametrize("role", [*Role, None])
@pytest.mark.parametrize("deed", Deed)
def test_a_deed_takes_its_role_or_a_higher_one(role, deed):
    user = User("ann", role, Standing.GRANTED)
    if role is not None and role >= NEEDED[deed]:
        require(user, deed)
    else:
        with pytest.raises(AccessDeniedError, match=NEEDED[deed].label):
            require(user, deed)


def test_a_viewer_may_do_nothing_and_an_operator_everything():
    assert set(NEEDED) == set(Deed)
    assert min(NEEDED.values()) > Role.VIEWER
    assert max(NEEDED.values()) == Role.OPERATOR


def test_without_a_login_everybody_has_the_same_role_and_no_name():
    assert identify(Access(everybody=Role.OPERATOR), {}, NOW) == User(
        None, Role.OPERATOR, Standing.NO_LOGIN
    )
    # What a cookie says is nothing then.
    assert identify(LOOK_ONLY, ANN, NOW).role is Role.VIEWER


def test_a_person_is_known_by_a_verified_address_whatever_its_case():
    assert who(ANN) == User("Ann@Example.com", Role.ANALYST, Standing.GRANTED)


@pytest.mark.parametrize("claims", [{}, {"is_logged_in": False}, {**ANN, "is_logged_in": "yes"}])
def test_who_has_not_signed_in_has_no_role(claims):
    login = Login(default=Role.OPERATOR)
    assert who(claims, login) == User(None, None, Standing.SIGNED_OUT)


@pytest.mark.parametrize("verified", [False, None, "true", 1, "missing"])
@pytest.mark.parametrize("more", [{}, {"groups": ["platform"]}])
def test_an_address_that_is_not_verified_is_nobodys(verified, more):
    claims = {**ANN, **more, "email_verified": verified}
    if verified == "missing":
        del claims["email_verified"]
    assert who(claims, Login(default=Role.OPERATOR, claim="groups", groups=LOGIN.groups)) == User(
        None, None, Standing.NOT_VERIFIED
    )


@pytest.mark.parametrize("email", [None, "", 7, ["ann@example.com"]])
def test_a_verified_address_is_a_text(email):
    assert who({**ANN, "email": email}) == User(None, None, Standing.NOT_NAMED)


@pytest.mark.parametrize(
    ("verified", "claims", "standing"),
    [
        (None, {}, Standing.GRANTED),
        (None, {"email_verified": True}, Standing.GRANTED),
        (None, {"email_verified": False}, Standing.NOT_VERIFIED),
        (None, {"email_verified": "false"}, Standing.NOT_VERIFIED),
        ("checked", {"checked": True}, Standing.GRANTED),
        ("checked", {"checked": True, "email_verified": False}, Standing.NOT_VERIFIED),
        ("checked", {"checked": "yes"}, Standing.NOT_VERIFIED),
        ("checked", {}, Standing.NOT_VERIFIED),
    ],
)
def test_a_login_says_what_makes_an_address_be_believed(verified, claims, standing):
    said = {name: value for name, value in ANN.items() if name != "email_verified"} | claims
    user = who(said, replace(LOGIN, verified=verified))
    assert user.standing is standing
    assert user.role is (Role.ANALYST if standing is Standing.GRANTED else None)


def test_a_person_is_known_by_another_claim_as_it_is_written():
    people = {"a1": Role.VIEWER, "Ann@Example.com": Role.OPERATOR}
    login = Login(person="sub", verified=None, people=people)
    assert who({**ANN, "sub": "a1"}, login) == User("a1", Role.VIEWER, Standing.GRANTED)
    assert who({**ANN, "sub": "A1"}, login) == User("A1", None, Standing.NO_ROLE)
    assert who(ANN, login) == User(None, None, Standing.NOT_NAMED)
    assert who({**ANN, "sub": " "}, login) == User(None, None, Standing.NOT_NAMED)


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        (["platform", "desk"], Role.OPERATOR),
        (["unknown"], Role.ANALYST),
        ("platform", Role.OPERATOR),
        ([{"a": 1}, 7, None], Role.ANALYST),
        ({"platform": True}, Role.ANALYST),
        (None, Role.ANALYST),
    ],
)
def test_the_highest_of_address_and_groups_counts(groups, role):
    assert who({**ANN, "groups": groups}).role is role


def test_who_is_not_named_has_the_default_role_or_none():
    bob = {**ANN, "email": "bob@example.com"}
    assert who(bob) == User("bob@example.com", None, Standing.NO_ROLE)
    assert who(bob, Login(default=Role.VIEWER)).role is Role.VIEWER


@pytest.mark.parametrize(
    ("age", "standing"),
    [
        (timedelta(hours=12), Standing.GRANTED),
        (timedelta(hours=12, seconds=1), Standing.SIGNED_IN_TOO_LONG_AGO),
    ],
)
def test_a_login_ends(age, standing):
    assert who({**ANN, "iat": (NOW - age).timestamp()}).standing is standing


@pytest.mark.parametrize("since", [None, "yesterday", [1]])
def test_a_login_without_a_time_has_ended(since):
    assert who({**ANN, "iat": since}).role is None


ALERT = AlertName("replay", "rule", "key")
CORRECTION = Correction(1, "d", "Macro", None, "")
ATTEMPTS = {
    "acknowledge": lambda actor: acting.acknowledge(actor, ALERT, "x"),
    "unacknowledge": lambda actor: acting.unacknowledge(actor, ALERT, "x"),
    "comment_on": lambda actor: acting.comment_on(actor, ALERT, "x"),
    "silence": lambda actor: acting.silence(
        actor, "replay", {"key": "*"}, None, timedelta(hours=1), "x"
    ),
    "expire": lambda actor: acting.expire(actor, "replay", 1, "x"),
    "correct": lambda actor: acting.correct(actor, CORRECTION),
    "take_back": lambda actor: acting.take_back(actor, CORRECTION),
    "try_dead_letters": lambda actor: acting.try_dead_letters(
        actor.user, actor.database.transaction
    ),
}


class Untouched:
    """A database that nobody may ask for anything."""

    def transaction(self):
        raise AssertionError("it was asked")


@pytest.mark.parametrize("role", [Role.VIEWER, None])
@pytest.mark.parametrize("name", ATTEMPTS)
def test_who_may_not_act_is_refused_before_the_database_is_asked(name, role):
    with pytest.raises(AccessDeniedError):
        ATTEMPTS[name](Actor(Untouched(), User("v", role, Standing.GRANTED), "v"))


def test_every_action_is_among_those_attempts():
    functions = inspect.getmembers(acting, inspect.isfunction)
    assert {name for name, made in functions if made.__module__ == acting.__name__} - {
        "require"
    } == set(ATTEMPTS)


def test_a_typed_name_counts_only_where_nobody_signs_in():
    signed_in = User("ann@example.com", Role.ANALYST, Standing.GRANTED)
    assert Actor(Untouched(), signed_in, "the boss").name == "ann@example.com"
    anybody = User(None, Role.ANALYST, Standing.NO_LOGIN)
    assert Actor(Untouched(), anybody, "bob").name == "bob"


def test_a_page_that_is_open_is_drawn_anew_when_its_reader_may_not_see_it_any_more():
    def script():
        import streamlit as st  # noqa: PLC0415 - Streamlit runs this function's source

        from dashboard.access.roles import Access, Login, Role  # noqa: PLC0415
        from dashboard.access.signing import stay  # noqa: PLC0415

        turn = st.session_state["turn"] = st.session_state.get("turn", 0) + 1
        st.session_state["access"] = Access(Login()) if turn == 1 else Access(None, Role.VIEWER)
        stay()
        st.text(f"drawn in turn {turn}")

    assert texts(open_at(script)) == ["drawn in turn 2"]
