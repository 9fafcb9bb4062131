"""The page of a run and its API: a Starlette application on uvicorn."""
