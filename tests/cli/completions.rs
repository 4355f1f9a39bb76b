//! `ackguard completions` and `--help`.

use std::process::Command;

use crate::program::{ackguard, run};

const COMMANDS: [&str; 9] =
    ["check", "explain", "replay", "render", "metrics", "rollout", "schema", "top", "completions"];

#[test]
fn every_shell_completes_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let told = ackguard("", &["completions", shell]);
        assert_eq!((told.status, told.stderr.as_str()), (0, ""), "{shell}");
        for command in COMMANDS {
            assert!(told.stdout.contains(command), "{command} for {shell}");
        }
    }
    assert_eq!(ackguard("", &["completions", "sh"]).status, 2);
}

#[test]
fn bash_completes_a_command_that_was_begun() {
    let script = ackguard("", &["completions", "bash"]).stdout;
    let ask = "COMP_WORDS=(ackguard expl); COMP_CWORD=1; _ackguard ackguard expl ackguard; echo \"${COMPREPLY[@]}\"";
    let mut bash = Command::new("bash");
    bash.args(["-c", &format!("{script}\n{ask}")]);
    let told = run(bash, b"");
    assert_eq!((told.stdout.as_str(), told.stderr.as_str()), ("explain\n", ""));
}

#[test]
fn every_command_has_help_with_an_example() {
    let all = ackguard("", &["--help"]);
    for command in COMMANDS {
        assert!(all.stdout.contains(&format!("\n  {command} ")), "{command} in {}", all.stdout);
        let arguments = if command == "rollout" { vec![command, "status"] } else { vec![command] };
        let told = ackguard("", &[arguments.as_slice(), &["--help"]].concat());
        assert_eq!(told.status, 0);
        assert!(told.stdout.contains(&format!("ackguard {}", arguments.join(" "))), "{command}: {}", told.stdout);
        assert!(told.stdout.contains("Example"), "{command}: {}", told.stdout);
    }
}
