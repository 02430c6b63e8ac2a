"""One file a command: ``arguments(parser)`` and ``main(options) -> exit status``.  The files end in an underscore
because some commands are called like modules of the language (``import``)."""
