"""Draws the dashboard and answers HTTP clients."""
