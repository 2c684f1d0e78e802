"""The limits of connections: how many, how long they may wait, and how fast they must go on."""
