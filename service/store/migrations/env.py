"""Runs the steps of `versions/` over the connection that `Database.migrate` hands in."""

from alembic import context

from service.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
