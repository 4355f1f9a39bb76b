//! AFL++'s way into the law of policy documents.

fn main() {
    afl::fuzz(true, fuzz::document);
}
