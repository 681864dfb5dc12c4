"""Conformance suites: plain asserts that any implementation of a contract must pass, with or without pytest."""

from crlso.testing.spaces import check_space
from crlso.testing.strategies import check_strategy

__all__ = ["check_space", "check_strategy"]
