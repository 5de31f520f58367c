"""Alembic migrations; `store.schema` runs them."""
