//! The laws over the inputs that fuzzing starts from, and over those that once broke a law.

use std::fs;
use std::path::{Path, PathBuf};

use fuzz::structs;
use serde_json::{Map, Value};

fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut inputs: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort_unstable();
    assert!(!inputs.is_empty(), "no inputs of {target}");
    inputs
}

#[test]
fn every_document_keeps_the_law() {
    for path in corpus("policy") {
        println!("{}", path.display());
        fuzz::document(&fs::read(path).unwrap());
    }
}

#[test]
fn every_request_keeps_the_law() {
    for path in corpus("request") {
        println!("{}", path.display());
        fuzz::request(&fs::read(path).unwrap());
    }
}

#[test]
fn whatever_is_binary_keeps_the_law() {
    for path in corpus("binary") {
        println!("{}", path.display());
        fuzz::binary(&fs::read(path).unwrap());
    }
}

/// The inputs in binary form have their source beside them.
#[test]
fn a_struct_is_the_json_of_its_name() {
    let structs = corpus("policy").into_iter().filter(|path| path.extension().is_some_and(|end| end == "struct"));
    let mut compared = 0;
    for path in structs {
        let json = fs::read(path.with_extension("json")).unwrap();
        let members: Map<String, Value> = serde_json::from_slice(&json).unwrap();
        assert_eq!(fs::read(&path).unwrap(), structs::encode(&members), "{}", path.display());
        compared += 1;
    }
    assert!(compared > 0);
}
