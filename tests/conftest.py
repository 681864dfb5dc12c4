"""Shared by all tests: annotated shapes and types are checked at run time, and every run is the same run."""

import hypothesis
import torch
from jaxtyping import install_import_hook

install_import_hook("crlso", "beartype.beartype")  # before any test imports crlso

torch.set_num_threads(1)
hypothesis.settings.register_profile("crlso", derandomize=True, deadline=None)
hypothesis.settings.load_profile("crlso")
