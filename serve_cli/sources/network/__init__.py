"""Object stores and web servers: URLs, retries and time limits."""
