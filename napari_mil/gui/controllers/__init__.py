"""From a view's signal to an action or a job, and from a job to actions."""
