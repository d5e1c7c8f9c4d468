"""The short way of chats whose like has been answered before.

Of most requests only the text is new: an application asks with the same few fields again and again.
What vLLM makes of those is the same each time, so it is made once, and kept as a *routine*. What
depends on the text is done anew. A routine is learned from a request that went all of vLLM's way,
and only if the short way would have handed the engine the very same.
"""
