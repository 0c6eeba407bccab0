"""Who said it: what is signed or sealed, by whom, and how it is checked."""
