"""Errors, text, files, locks and limits that every other room uses."""
