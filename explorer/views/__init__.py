"""The views: each draws what a session shows. They know the session's data, never each other."""
