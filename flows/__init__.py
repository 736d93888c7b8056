"""Prefect: what runs when, how often it is retried, where it runs. No stage logic."""
