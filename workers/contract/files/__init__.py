"""Files that users bring, as both sides read them: rows, golden sets, recorded lengths and traffic. Pure."""
