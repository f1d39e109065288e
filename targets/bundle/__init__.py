"""The files of a bundle that a device reads: manifest, golden inputs, verdict."""

__all__ = ["bundle_files", "confusions", "golden", "verdict"]
