"""Recordings of a stream: writing, reading and replaying them, and making them from public files of other venues.

``format``, ``writer`` and ``reader`` are the files; ``topic_state`` folds frames into the state that a SNAPSHOT shows;
``recorder`` fills a recording from a server, ``replay*`` serve one, ``importer`` and the modules of formats make one.
"""
