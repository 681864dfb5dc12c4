"""What schemathesis must be told to bring a model: an archive is bytes like others."""

import schemathesis

schemathesis.serializer.alias("application/zip", "application/octet-stream")
