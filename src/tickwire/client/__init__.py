"""The Python client of the stream and the REST API: not here yet: see the issue tracker."""
