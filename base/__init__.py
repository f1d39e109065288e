"""Errors, text, files and locks that every other package uses; nothing about models or devices."""

__all__ = [
    "bug_report",
    "durable_files",
    "duration",
    "errors",
    "file_digest",
    "file_lock",
    "full_disk",
    "notify",
    "one_line",
    "suggest",
    "termination",
    "untrusted_files",
    "urls",
]
