"""The page of a run and its interface for programs: a Starlette application on uvicorn."""
