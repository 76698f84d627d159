"""The services of the cluster and the database schemas that they own."""

SERVICES = ("identity", "consent", "storage", "gateway")
DATABASE_SERVICES = ("identity", "consent", "storage")
SCHEMAS = (*DATABASE_SERVICES, "keyring")
