//! The log on a simulated disk.
