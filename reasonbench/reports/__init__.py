"""What people look at: data and pictures of runs. Reads runs and nothing else."""
