"""One file per family of endpoints: parse the request, call the service, present the result."""
