"""Results as pictures: each a light and a dark one, told apart by marks and words as well as by colours."""
