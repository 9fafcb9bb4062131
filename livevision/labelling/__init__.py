"""Makes data sets whose labels come from a model."""
