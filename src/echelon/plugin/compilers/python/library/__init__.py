"""What compiled Python needs at run time, written in the raw dialect and compiled by the same compiler."""
