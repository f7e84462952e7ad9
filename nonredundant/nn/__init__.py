"""Everything that needs torch; nothing outside this folder imports it at the top of a module."""
