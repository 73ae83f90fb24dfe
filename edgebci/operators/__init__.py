"""What a decoder is made of: each operator with its sizes, its float and its bit-exact form, and its cost."""
