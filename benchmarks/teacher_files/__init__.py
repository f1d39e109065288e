"""Files of many kinds as teachers: which are loaded exactly, and which are refused."""
