"""Connect state, jobs and views."""
