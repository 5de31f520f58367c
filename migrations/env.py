"""Alembic's entry: runs within the transaction that `store.schema` hands in."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table="cauce_schema",
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
