"""What a teacher's file holds, and the run file that it suggests."""
