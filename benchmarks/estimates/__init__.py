"""What `datafree-edge check` estimates, compared with the run."""
