"""Recorder, replayer and relay of a stream: not here yet: see the issue tracker."""
