"""MXNet's files and the run folder, read without MXNet; hostile until parsed."""
