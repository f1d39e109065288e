"""The run file: its schema, its reading, and the recipes and targets that it names."""
