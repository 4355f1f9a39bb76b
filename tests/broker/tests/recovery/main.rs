//! A broker on a disk that ends in every way, and that starts again on what it left: the program itself, on a real
//! file system.

#[path = "../http/client.rs"]
#[expect(dead_code, reason = "a broker in this process cannot be killed")]
mod client;
#[path = "../http/program.rs"]
mod program;

mod damage;
mod disk;
mod restart;
mod stand;
