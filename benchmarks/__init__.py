"""Teachers, scores and result tables: the only package that reads real data."""
