"""Normalisations: their rows."""

from tests.registry.row import Row

ROWS: list[Row] = []
