"""The reference pages of the documentation, made from the catalogues.

``python -m tickwire.service.reference docs/reference`` writes them; with ``--check`` nothing is written and the exit
code is 1 when a page in the directory is missing or stale. What lives here is how a catalogue becomes Markdown. What
the pages say comes from what the server itself runs on (errors, close codes, settings, topics, rows, endpoints, default
instruments) and from what the commands' ``--help`` prints.
"""
