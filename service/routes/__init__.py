"""The paths of the service, one module a group; each makes its router from what it needs."""
