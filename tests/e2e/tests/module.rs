//! The built filter: what it asks of its host and what its host may use of it, which are `src/plugin/imports.txt` and
//! `exports.txt`, no more and no less; and its size.

use std::collections::BTreeMap;
use std::fs;

use wasmparser::{Parser, Payload, TypeRef};

const IMPORTS: &str = "src/plugin/imports.txt";
const EXPORTS: &str = "src/plugin/exports.txt";

#[test]
fn the_module_imports_what_the_list_names_and_nothing_else() {
    let mut imported: Vec<String> = Vec::new();
    for payload in Parser::new(0).parse_all(&module()) {
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
    assert_eq!(imported, uses(&list(IMPORTS)).into_keys().collect::<Vec<_>>());
}

#[test]
fn the_module_exports_what_the_list_names_and_nothing_else() {
    let mut exported: Vec<String> = Vec::new();
    for payload in Parser::new(0).parse_all(&module()) {
        if let Payload::ExportSection(exports) = payload.unwrap() {
            exported.extend(exports.into_iter().map(|export| export.unwrap().name.to_owned()));
        }
    }
    exported.sort_unstable();
    assert_eq!(exported, uses(&list(EXPORTS)).into_keys().collect::<Vec<_>>());
}

#[test]
fn every_import_and_every_export_has_its_use() {
    for path in [IMPORTS, EXPORTS] {
        for (name, reason) in uses(&list(path)) {
            assert!(!reason.is_empty(), "{name} is listed without its use");
        }
    }
}

/// The README says how large it is, so whoever makes it larger looks there.
#[test]
fn the_module_is_as_large_as_the_readme_says_and_within_its_bound() {
    const MOST: u64 = 600 << 10;
    let bytes = module().len() as u64;
    assert!(bytes <= MOST, "{bytes} bytes of {MOST}");
    let readme = fs::read_to_string(stack::root().join("README.md")).unwrap();
    let said = readme.split_once("`target/ackguard.wasm` (").and_then(|(_, rest)| rest.split_once(" KiB)"));
    let said: u64 = said.and_then(|(said, _)| said.parse().ok()).expect("README.md tells its size in KiB");
    assert!(bytes.abs_diff(said << 10) * 20 <= bytes, "README.md says {said} KiB, it has {}", bytes >> 10);
}

fn module() -> Vec<u8> {
    let path = stack::wasm();
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}: make wasm", path.display()))
}

fn list(path: &str) -> String {
    fs::read_to_string(stack::root().join(path)).unwrap()
}

/// Each listed name with its use.
fn uses(list: &str) -> BTreeMap<&str, &str> {
    let lines = list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').unwrap_or((line, ""))).map(|(name, reason)| (name, reason.trim())).collect()
}
