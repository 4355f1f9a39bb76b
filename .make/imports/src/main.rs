//! `wasm-imports LIST IN OUT`: keeps of the module IN the imports that LIST names, writing OUT.
//!
//! The SDK of proxy-wasm brings a method for each call that a host has, as methods of trait objects, of which no linker
//! can tell that nobody calls them. So the built filter imports calls that it never makes, and its import list says
//! nothing about what it may ask of its host. Here each import that is not on the list becomes a trap, so that the list
//! is the whole of what the module can do.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, bail, ensure};
use walrus::{FunctionId, ImportKind, Module, ModuleConfig, passes};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [list, source, target] = arguments.as_slice() else { bail!("usage: wasm-imports LIST IN OUT") };
    let text = fs::read_to_string(list).with_context(|| list.clone())?;
    let bytes = fs::read(source).with_context(|| source.clone())?;
    let kept = keep(&bytes, &names(&text)).with_context(|| source.clone())?;
    fs::write(target, kept).with_context(|| target.clone())
}

/// The names that a list holds: the first word of each line, but for comments.
fn names(list: &str) -> BTreeSet<&str> {
    list.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_whitespace().next()).collect()
}

/// The module `bytes` with no other imports than `names`, all of which it must have.
fn keep(bytes: &[u8], names: &BTreeSet<&str>) -> anyhow::Result<Vec<u8>> {
    let mut config = ModuleConfig::new();
    config.generate_name_section(false).generate_producers_section(false);
    let mut module = config.parse(bytes)?;

    let mut found = BTreeSet::new();
    let mut uncalled = Vec::new();
    for import in module.imports.iter() {
        let ImportKind::Function(function) = import.kind else { bail!("{} is not a function", import.name) };
        if names.contains(import.name.as_str()) {
            found.insert(import.name.clone());
        } else {
            uncalled.push(function);
        }
    }
    let missing: Vec<&str> = names.iter().copied().filter(|name| !found.contains(*name)).collect();
    ensure!(missing.is_empty(), "the module does not import {}, which the list names", missing.join(", "));

    for function in uncalled {
        trap_instead_of(&mut module, function)?;
    }
    passes::gc::run(&mut module);
    Ok(module.emit_wasm())
}

fn trap_instead_of(module: &mut Module, import: FunctionId) -> anyhow::Result<()> {
    module.replace_imported_func(import, |(body, _)| {
        body.unreachable();
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use walrus::{FunctionBuilder, ValType};

    use super::*;

    /// A module that imports each of `imports` and calls all of them.
    fn module(imports: &[&str]) -> Vec<u8> {
        let mut module = Module::with_config(ModuleConfig::new());
        let kind = module.types.add(&[], &[ValType::I32]);
        let functions: Vec<FunctionId> =
            imports.iter().map(|name| module.add_import_func("env", name, kind).0).collect();
        let mut builder = FunctionBuilder::new(&mut module.types, &[], &[]);
        for function in functions {
            builder.func_body().call(function).drop();
        }
        let main = builder.finish(Vec::new(), &mut module.funcs);
        module.exports.add("main", main);
        module.emit_wasm()
    }

    fn imports(bytes: &[u8]) -> Vec<String> {
        Module::from_buffer(bytes).unwrap().imports.iter().map(|import| import.name.clone()).collect()
    }

    #[test]
    fn what_the_list_does_not_name_is_no_import_any_more() {
        let kept = keep(&module(&["a", "b", "c"]), &names("# a comment\nb  its use\n")).unwrap();
        assert_eq!(imports(&kept), ["b"]);
    }

    #[test]
    fn a_name_that_the_module_does_not_import_is_a_fault() {
        let error = keep(&module(&["a"]), &names("a\nd\n")).unwrap_err();
        assert_eq!(error.to_string(), "the module does not import d, which the list names");
    }
}
