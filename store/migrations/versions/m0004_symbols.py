"""A document's symbols beside it, and their table in the order in which it is read.

The table had an index in the order of the documents' ids: as ids come in no order, every new
document dirtied a page of it somewhere, the more so the longer the history.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

_UP = """
alter table documents add symbols text[] not null default '{}';
update documents d set symbols = named.symbols
from (
    select run_id, document_id, array_agg(symbol order by symbol collate "C") symbols
    from document_symbols group by run_id, document_id
) named
where d.run_id = named.run_id and d.id = named.document_id;
alter table document_symbols drop constraint document_symbols_pkey;
drop index documents_by_symbol;
alter table document_symbols add primary key (run_id, symbol, published_at, document_id);
"""

_DOWN = """
alter table document_symbols drop constraint document_symbols_pkey;
alter table document_symbols add primary key (run_id, document_id, symbol);
create index documents_by_symbol on document_symbols (run_id, symbol, published_at);
alter table documents drop symbols;
"""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute(_DOWN)
