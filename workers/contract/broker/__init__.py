"""Redis as both sides use it: opened, named, scripted, permitted, and what it answers when it does not."""
