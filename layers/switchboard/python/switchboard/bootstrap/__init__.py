"""The composition root: one module a function, which builds that function's application and imports nothing more."""
