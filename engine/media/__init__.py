"""Images, audio and video that requests bring or name: what is taken, fetched, and refused."""
