"""Deliveries in order, with their reasons; receivers that are held back or disabled.

Messages that were there before are numbered by their age, and get the dedup key of their alert.
"""

from alembic import op

revision = "0006"
down_revision = "0005"

_UP = """
alter table outbox add seq bigint, add dedup_key text, add reason text, add about uuid;
update outbox set
    seq = numbered.seq,
    dedup_key = encode(sha256(convert_to(concat_ws(E'\\x1f', payload->>'run', payload->>'rule',
        payload->>'scope', payload->>'key'), 'UTF8')), 'hex')
from (
    select id, row_number() over (order by created_at, event_id, receiver) as seq from outbox
) as numbered
where numbered.id = outbox.id;
alter table outbox
    alter dedup_key set not null,
    alter seq set not null,
    alter seq add generated always as identity;
select setval(pg_get_serial_sequence('outbox', 'seq'), coalesce(max(seq), 0) + 1, false)
from outbox;
drop index outbox_by_attempt;
create index outbox_by_alert on outbox (receiver, dedup_key, seq) where status = 'pending';
create index outbox_by_event on outbox (event_id);
create index outbox_by_time on outbox (created_at);

alter table deliveries add reason text not null default 'unknown', add status_code smallint;
update deliveries set reason = 'accepted' where outcome = 'delivered';
alter table deliveries alter reason drop default;
create index deliveries_by_message on deliveries (outbox_id, attempt);

create table receivers (
    name text primary key,
    failures integer not null default 0,
    held_until timestamptz,
    disabled_at timestamptz,
    reason text,
    detail text
);
"""

_DOWN = """
drop table receivers;
drop index deliveries_by_message;
alter table deliveries drop reason, drop status_code;
drop index outbox_by_alert, outbox_by_event, outbox_by_time;
update outbox set status = 'dead' where status = 'suppressed';
alter table outbox drop seq, drop dedup_key, drop reason, drop about;
create index outbox_by_attempt on outbox (status, next_attempt_at);
"""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute(_DOWN)
