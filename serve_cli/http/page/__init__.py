"""The search page that the server shows: one file, without a build."""
