"""`lifted eval`: read, search, measure, present (see `eval_steps`)."""
