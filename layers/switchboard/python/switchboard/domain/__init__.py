"""Hold the values and rules of the domain. They import the standard library alone and do no I/O."""
