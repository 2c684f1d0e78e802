"""What the daemon and its workers both know of repositories, without Mercurial or Twisted."""
