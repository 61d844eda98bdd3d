"""Signing in and out, and who it is that acts. Everybody is asked for anew at each action.

The login is Streamlit's own: it keeps what the identity provider said in a signed cookie.
"""

from datetime import UTC, datetime

import streamlit as st

from dashboard.access.roles import (
    NOBODY,
    VERIFIED,
    Access,
    Deed,
    Login,
    Standing,
    User,
    identify,
    why_not,
)
from dashboard.access.wanted import keep_link
from dashboard.common.plain import plain
from dashboard.common.words import later, say
from store.alert_actions import LONGEST_AUTHOR

_SAID = {
    Standing.SIGNED_OUT: later("Sign in to see this dashboard."),
    Standing.SIGNED_IN_TOO_LONG_AGO: later("You signed in too long ago. Sign in again."),
    Standing.NOT_NAMED: later(
        "Your identity provider does not say who you are: `{person}` is missing from what it says. "
        "Whoever runs this dashboard can ask it for that, or name another claim as `person` in the "
        "table `[roles]` of the login file."
    ),
    Standing.NOT_VERIFIED: later(
        "Your identity provider does not say that it has verified your e-mail address or name "
        "(`{verified}`), so nobody here can know you by it. If it never says so, whoever runs this "
        "dashboard can name another claim as `verified` in the table `[roles]` of the login file."
    ),
    Standing.NO_ROLE: later("You have no role here. Whoever runs this dashboard can give you one."),
}


def admit(access: Access) -> bool:
    """Whether who looks at it may see the page; else it is said why not, or how to sign in."""
    st.session_state["access"] = access
    user = current_user()
    if user.role is not None:
        return True
    st.title("Tapewatch", anchor=False)
    with st.container(border=True, key="signing-in", width=520):
        if user.name:
            st.text(plain(user.name, LONGEST_AUTHOR))
        st.markdown(_say(access, user.standing))
        if user.standing in {Standing.SIGNED_OUT, Standing.SIGNED_IN_TOO_LONG_AGO}:
            keep_link()
            _offer_login(access)
        else:
            st.button(say("Sign out"), key="sign-out", on_click=st.logout)
    return False


def current_user() -> User:
    """Who looks at the page just now; nobody, where no page has said how people are known."""
    access = st.session_state.get("access")
    if not isinstance(access, Access):
        return NOBODY
    claims = st.user.to_dict() if access.login is not None else {}
    return identify(access, claims, datetime.now(UTC))


def stay() -> None:
    """Draw the page anew where its reader may not see it any more: a login ends meanwhile."""
    if "access" in st.session_state and current_user().role is None:
        st.rerun()


def show_who() -> None:
    """Below a page: who is signed in, as what, and the way out."""
    user = current_user()
    if user.name is None or user.role is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="signed-in"):
        with st.container(width="content", key="signed-in-text"):
            st.text(
                say(
                    "Signed in as {name}, {label}",
                    name=plain(user.name, LONGEST_AUTHOR),
                    label=user.role.label,
                )
            )
        st.button(say("Sign out"), key="sign-out", on_click=st.logout, type="tertiary")


def show_access() -> None:
    """Who may do what here, and who you are."""
    user = current_user()
    if user.role is None:
        return
    deeds = [str(deed) for deed in Deed if user.may(deed)]
    may = say("may {deeds}", deeds=", ".join(deeds)) if deeds else say("may look, and no more")
    if user.name is None:
        who = say(
            "Nobody signs in here: everybody who reaches this page has the role {label}",
            label=user.role.label,
        )
        st.text(say("{who} and {may}. Names are as people type them.", who=who, may=may))
    else:
        name = plain(user.name, LONGEST_AUTHOR)
        st.text(
            say(
                "People sign in here. You are {name}, have the role {label} and {may}.",
                name=name,
                label=user.role.label,
                may=may,
            )
        )


def may_act(deed: Deed) -> bool:
    """Whether a form for it is drawn; where not, the page says which role it takes.

    Only a courtesy: ``dashboard.access.acting`` checks again when something is done.
    """
    user = current_user()
    if not user.may(deed):
        st.caption(f":material/lock: {why_not(user, deed)}")
    return user.may(deed)


def ask_name(key: str) -> str:
    """The field for the name, where nobody signs in; what it says, or "" where they do."""
    if current_user().name is not None:
        return ""
    name = st.text_input(
        say("Your name"),
        value=st.session_state.get("analyst", ""),
        key=key,
        max_chars=LONGEST_AUTHOR,
        width=180,
    )
    return str(name or "")


def remember_name(name: str) -> None:
    """Fill the name in for the next time."""
    if name.strip():
        st.session_state["analyst"] = name.strip()


def _say(access: Access, standing: Standing) -> str:
    """Why somebody may not look; names the claims of the login file where they are the reason."""
    login = access.login or Login()
    return say(_SAID[standing], person=login.person, verified=login.verified or VERIFIED)


def _offer_login(access: Access) -> None:
    providers = access.login.providers if access.login else ()
    if not providers:
        st.button(say("Sign in"), key="sign-in", on_click=st.login)
    for provider in providers:
        st.button(
            say("Sign in with {provider}", provider=plain(provider, 40)),
            key=f"sign-in-{provider}",
            on_click=st.login,
            args=(provider,),
        )
