"""Steps that respect tables which another application made before us."""

import sqlalchemy as sa
from alembic import op


def create_or_complete(table: sa.Table) -> None:
    """Create a table, or add the columns and indexes that an existing one lacks.

    Existing columns and rows stay as they are, so constraints hold only in tables that we make.
    """
    connection = op.get_bind()
    inspector = sa.inspect(connection)
    if not inspector.has_table(table.name):
        table.create(connection)
        return
    present = {column["name"] for column in inspector.get_columns(table.name)}
    for column in table.columns:
        if column.name not in present:
            plain = sa.Column(column.name, column.type, server_default=column.server_default)
            op.add_column(table.name, plain)
    indexed = {index["name"] for index in inspector.get_indexes(table.name)}
    for index in table.indexes:
        if index.name not in indexed:
            index.create(connection)
