"""``wiredaemon doctor``: what would keep a daemon from serving its configuration, all at once."""
