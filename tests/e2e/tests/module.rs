//! The built filter: what it asks of its host, which is `src/plugin/imports.txt`, no more and no less; and its size.

use std::collections::BTreeMap;
use std::fs;

use wasmparser::{Parser, Payload, TypeRef};

#[test]
fn the_module_imports_what_the_list_names_and_nothing_else() {
    let path = stack::wasm();
    let module = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}: make wasm", path.display()));
    let text = fs::read_to_string(stack::root().join("src/plugin/imports.txt")).unwrap();
    let listed = uses(&text);

    let mut imported: Vec<String> = Vec::new();
    for payload in Parser::new(0).parse_all(&module) {
        if let Payload::ImportSection(imports) = payload.unwrap() {
            for import in imports.into_imports() {
                let import = import.unwrap();
                assert_eq!(import.module, "env", "{}", import.name);
                assert!(import.name.starts_with("proxy_"), "{}", import.name);
                assert!(matches!(import.ty, TypeRef::Func(_)), "{}", import.name);
                imported.push(import.name.to_owned());
            }
        }
    }
    imported.sort_unstable();
    assert_eq!(imported, listed.keys().copied().collect::<Vec<_>>());
}

#[test]
fn every_import_has_its_use() {
    let text = fs::read_to_string(stack::root().join("src/plugin/imports.txt")).unwrap();
    for (name, reason) in uses(&text) {
        assert!(!reason.is_empty(), "{name} is listed without its use");
    }
}

/// The README says how large it is, so whoever makes it larger looks there.
#[test]
fn the_module_is_as_large_as_the_readme_says_and_within_its_bound() {
    const MOST: u64 = 600 << 10;
    let path = stack::wasm();
    let bytes = fs::metadata(&path).unwrap_or_else(|error| panic!("{}: {error}: make wasm", path.display())).len();
    assert!(bytes <= MOST, "{bytes} bytes of {MOST}");
    let readme = fs::read_to_string(stack::root().join("README.md")).unwrap();
    let said = readme.split_once("`target/ackguard.wasm` (").and_then(|(_, rest)| rest.split_once(" KiB)"));
    let said: u64 = said.and_then(|(said, _)| said.parse().ok()).expect("README.md tells its size in KiB");
    assert!(bytes.abs_diff(said << 10) * 20 <= bytes, "README.md says {said} KiB, it has {}", bytes >> 10);
}

/// Each listed import with its use.
fn uses(list: &str) -> BTreeMap<&str, &str> {
    let lines = list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').unwrap_or((line, ""))).map(|(name, reason)| (name, reason.trim())).collect()
}
