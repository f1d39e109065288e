"""The only place that may see real data: teachers, scores, result tables."""
