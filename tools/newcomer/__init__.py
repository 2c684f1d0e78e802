"""Follows pages of the documentation word by word, as somebody does who knows nothing else.

`page` reads what a page tells its reader to do, `terminal` does it in a shell, `matching` compares
what is printed with what the page shows, `tasks` names the tasks and their pages.
"""
