"""Djaffar beside a Django site."""
