"""The content-addressed store: its files, records, garbage collection, and digests of code.

Nothing here imports torch.
"""

__all__ = ["code_digest", "garbage_collection", "step_record", "step_workspace", "storage", "store"]
