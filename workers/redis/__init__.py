"""Redis: connections, the layout of its keys, Lua scripts, streams, caches, heartbeats and RPC."""
