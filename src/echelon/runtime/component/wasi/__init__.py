"""WASI 0.2 for components: our own, so that permissions, limits and deadlines hold in it as everywhere else."""
