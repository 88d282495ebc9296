"""The composition root: one module for each function, which builds its application and imports nothing else."""
