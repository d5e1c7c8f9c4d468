"""The verbs besides `serve`: each parses its words, does one thing, prints, and returns.

They answer in less than a second as long as they need no network: nothing here loads a web server
or torch, and sources are imported by those that fetch.
"""
