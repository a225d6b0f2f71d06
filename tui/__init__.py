"""The two faces of lyricrnn: the full-screen app and the command line."""
