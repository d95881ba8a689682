"""`lifted embed`: what is asked for, what computes it, what was done."""
