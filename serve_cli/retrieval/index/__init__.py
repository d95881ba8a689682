"""An index of an embedding folder: built once, opened in milliseconds, exact distances."""
