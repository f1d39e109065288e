"""The content-addressed store, its records, its garbage collection, and code digests."""
