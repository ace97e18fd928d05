// Control flow that depends on data.
