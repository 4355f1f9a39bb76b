//! The documentation shows what the program prints: every block of `console` in `docs/cli.md` is run.

use std::path::Path;
use std::process::Command;

use crate::program::{assert_golden, run};

const OPEN: &str = "```console\n";
const CLOSE: &str = "```\n";

/// What a line behind a `$` prints, both outputs in their order.
fn printed(line: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = Path::new(env!("CARGO_BIN_EXE_ackguard")).parent().expect("a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("({line}) 2>&1")]).current_dir(root);
    command.env("PATH", format!("{}:{path}", program.display()));
    run(command, b"").stdout
}

#[test]
fn every_example_prints_what_the_page_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    let text = std::fs::read_to_string(&page).expect("the page");
    let mut parts = text.split(OPEN);
    let mut made = parts.next().unwrap_or_default().to_owned();
    let mut examples = 0;
    for part in parts {
        let (block, rest) = part.split_once(CLOSE).expect("the end of the block");
        made.push_str(OPEN);
        for line in block.lines().filter_map(|line| line.strip_prefix("$ ")) {
            made.push_str(&format!("$ {line}\n{}", printed(line)));
            examples += 1;
        }
        made.push_str(CLOSE);
        made.push_str(rest);
    }
    assert!(examples > 0, "no example in {}", page.display());
    assert_golden(&page, &made);
}
