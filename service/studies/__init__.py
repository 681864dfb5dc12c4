"""Searches in which clients evaluate: they ask for architectures, train them anywhere, and tell what came of it."""
