"""Data sets made by a model: it looks at pictures, and what it finds is written as their labels."""
