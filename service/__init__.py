"""The HTTP service over crlso: architectures for a `POST /optimize`."""
