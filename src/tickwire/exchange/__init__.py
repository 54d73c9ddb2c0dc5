"""The deterministic core: a real exchange as one state machine.

``Engine.apply`` takes commands with their time and is the only place where state changes. Everything here is integer
arithmetic on memory; nothing reads a clock, a random source or a file, so the same commands give the same bytes.
"""
