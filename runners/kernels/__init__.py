"""One file for each kernel: its cases, work, reference and our own loops."""
