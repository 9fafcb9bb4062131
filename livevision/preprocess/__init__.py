"""Preprocess: resizes images to the inputs of nets and maps results back."""
