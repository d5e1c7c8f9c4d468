"""The cache on disk: what is in it is whole, and one process at a time adds to it.

models/<source>/<revision>/   published by one rename, with a manifest inside
models/<source>/refs/         what a branch meant when it was fetched
staging/<source>/             files on their way, named after their content
locks/<source>.lock           held while staging is worked on
runtime/<processor>/          what engines have compiled; may be deleted while none starts
"""
