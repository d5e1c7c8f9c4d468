"""What to serve and where its files come from. Knows neither HTTP nor vLLM.

Import from its modules: the first health answer and the shortest verbs do not wait for all of it.
"""
