//! The command line as a person uses it: the program itself, its output and its exit status.

mod render;
