"""Why somebody is told of an alert, or not. docs/alerts.md lists them."""

from enum import StrEnum


class Why(StrEnum):
    """Why a notification was sent, or held back."""

    FIRST_FIRING = "first_firing"
    GROUP_CHANGED = "group_changed"
    GRAVER = "graver"
    REPEAT = "repeat"
    RESOLVED = "resolved"
    FLAPPING = "flapping"
    GROUP_WAIT = "group_wait"
    GROUP_INTERVAL = "group_interval"
    ACKNOWLEDGED = "acknowledged"
    SILENCED = "silenced"
    INHIBITED = "inhibited"
    NEVER_TOLD = "never_told"
    NOTHING_NEW = "nothing_new"
    RULE_REMOVED = "rule_removed"
    REPLAY_NOT_NOTIFIED = "replay_not_notified"
    PIPELINE = "pipeline_changed"
    NO_RECEIVERS = "no_receivers"
