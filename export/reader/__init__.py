"""Read MXNet's files and run folders without MXNet. Files are untrusted until parsed."""
