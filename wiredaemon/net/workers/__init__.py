"""The pool of worker processes, as the daemon sees it.

In the order in which a command goes through: ``pool`` accepts it as one of ``calls``, it waits in
``queue`` for one of the ``idle_workers``, ``process`` runs it through its ``connection``, and what
comes back is one of ``answers`` or a ``worker_stream``, which may go on in a ``spooled_queue``.
``extension_sets`` says which worker may serve which repository.
Beside that way, ``running_calls`` ends what takes too long, ``slow_readers`` frees workers,
``restarts`` delays their start, ``error_output`` logs their lines, and ``worker_state`` is the
table of their life. ``resident_memory`` bounds theirs, and ``memory_watch`` returns the daemon's.
"""
