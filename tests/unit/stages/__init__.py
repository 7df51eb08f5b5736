"""The stages of the method, each alone and one after the other."""
