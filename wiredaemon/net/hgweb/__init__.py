"""Version 1 of the wire protocol and the pages for people, which hgweb answers in a worker."""
