"""The groups of rules, one a module; each is a function from the knobs to a group."""
