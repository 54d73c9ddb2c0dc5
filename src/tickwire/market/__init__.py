"""Seeded simulated venues and participants that keep the book alive; they send commands like any trader."""
