"""What operators do about alerts, what was told of them and what was not, and why."""

from alembic import op

revision = "0005"
down_revision = "0004"

_UP = """
alter table alert_events add detail text;

create table alert_tellings (
    run_id integer not null references runs (id) on delete cascade,
    rule text not null,
    key text not null,
    scope text not null,
    severity smallint not null,
    state text,
    began_at timestamptz,
    event_id bigint references alert_events (id) on delete cascade,
    told_state text,
    told_began_at timestamptz,
    told_at timestamptz,
    quiet boolean not null,
    held text,
    flapping boolean not null,
    changes timestamptz[] not null,
    primary key (run_id, rule, key)
);

-- What fires already was told if a message of it was posted, and is to be told when it ends.
insert into alert_tellings
select s.run_id, s.rule, s.key, e.scope, e.severity, 'firing', s.fired_at, e.id,
    'firing', s.fired_at, s.fired_at,
    not exists (select from outbox o where o.event_id = e.id), null, false, array[s.fired_at]
from alert_states s join alert_events e
    on e.run_id = s.run_id and e.rule = s.rule and e.key = s.key and e.at = s.fired_at
    and e.state = 'firing'
where s.state = 'firing';

create table alert_groups (
    run_id integer not null references runs (id) on delete cascade,
    name text not null,
    waiting_since timestamptz,
    told_at timestamptz,
    repeat_at timestamptz,
    primary key (run_id, name)
);

create table notifications (
    id bigint generated always as identity primary key,
    run_id integer not null references runs (id) on delete cascade,
    rule text not null,
    key text not null,
    at timestamptz not null,
    state text,
    told boolean not null,
    reason text not null,
    detail text,
    group_name text,
    receivers text[] not null,
    event_id bigint references alert_events (id) on delete cascade,
    recorded_at timestamptz not null default now()
);
create index notifications_by_alert on notifications (run_id, rule, key, id);

create table silences (
    id bigint generated always as identity primary key,
    run_id integer not null references runs (id) on delete cascade,
    matchers jsonb not null,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    author text not null,
    comment text not null,
    created_at timestamptz not null default now()
);
create index silences_by_end on silences (run_id, ends_at);

create table alert_actions (
    id bigint generated always as identity primary key,
    run_id integer not null references runs (id) on delete cascade,
    action text not null,
    rule text,
    key text,
    began_at timestamptz,
    silence_id bigint references silences (id) on delete cascade,
    author text not null,
    comment text,
    at timestamptz not null default now()
);
create index actions_by_alert on alert_actions (run_id, rule, key, id);
"""

_DOWN = """
drop table alert_actions, silences, notifications, alert_groups, alert_tellings;
alter table alert_events drop detail;
"""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute(_DOWN)
