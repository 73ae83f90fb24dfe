"""How warm tissue becomes around an implant."""
