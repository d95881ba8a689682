"""What the site adds to the Markdown files of the repository."""
