"""More than one process or machine: a backlog of videos, and a fleet of cameras."""
