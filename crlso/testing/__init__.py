"""Conformance suites: plain asserts that any implementation of a contract must pass, with or without pytest."""

from crlso.testing.spaces import check_space

__all__ = ["check_space"]
