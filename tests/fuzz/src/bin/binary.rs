//! AFL++'s way into the law of what is binary.

fn main() {
    afl::fuzz(true, fuzz::binary);
}
