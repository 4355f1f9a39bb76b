//! `wasm-interface IN OUT IMPORTS [EXPORTS]`: keeps of the module IN the imports and exports that the lists name, and writes
//! OUT. Without the list EXPORTS it keeps all exports.
//!
//! The SDK of proxy-wasm brings a method for each call that a host has, as methods of trait objects, of which no linker
//! can tell that nobody calls them. So the built filter imports calls that it never makes, and its import list says
//! nothing about what it may ask of its host. Here each import that is not on the list becomes a trap, so that the list
//! is the whole of what the module can do.
//!
//! The SDK also exports a callback for each event that a host knows of. Envoy enters the filter for every one that is
//! there, be it to do nothing. An export that is not on the list is taken away, with the code that nothing else needs.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, bail, ensure};
use walrus::{FunctionId, ImportKind, Module, ModuleConfig, passes};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, target, lists @ ..] = arguments.as_slice() else { bail!("usage: {USAGE}") };
    let (imports, exports) = match lists {
        [imports] => (read(imports)?, None),
        [imports, exports] => (read(imports)?, Some(read(exports)?)),
        _ => bail!("usage: {USAGE}"),
    };
    let bytes = fs::read(source).with_context(|| source.clone())?;
    let kept =
        keep(&bytes, &names(&imports), exports.as_deref().map(names).as_ref()).with_context(|| source.clone())?;
    fs::write(target, kept).with_context(|| target.clone())
}

const USAGE: &str = "wasm-interface IN OUT IMPORTS [EXPORTS]";

fn read(list: &str) -> anyhow::Result<String> {
    fs::read_to_string(list).with_context(|| list.to_owned())
}

/// The names that a list holds: the first word of each line, but for comments.
fn names(list: &str) -> BTreeSet<&str> {
    list.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_whitespace().next()).collect()
}

/// The module `bytes` with no other imports than `imports`, and no other exports than `exports` where they are given. It
/// must have them all.
fn keep(bytes: &[u8], imports: &BTreeSet<&str>, exports: Option<&BTreeSet<&str>>) -> anyhow::Result<Vec<u8>> {
    let mut config = ModuleConfig::new();
    config.generate_name_section(false).generate_producers_section(false);
    let mut module = config.parse(bytes)?;
    if let Some(exports) = exports {
        keep_exports(&mut module, exports)?;
        passes::gc::run(&mut module);
    }
    keep_imports(&mut module, imports)?;
    passes::gc::run(&mut module);
    Ok(module.emit_wasm())
}

fn keep_exports(module: &mut Module, names: &BTreeSet<&str>) -> anyhow::Result<()> {
    let mut found = BTreeSet::new();
    let mut unused = Vec::new();
    for export in module.exports.iter() {
        match names.get(export.name.as_str()) {
            Some(name) => _ = found.insert(*name),
            None => unused.push(export.id()),
        }
    }
    ensure_all("export", names, &found)?;
    for export in unused {
        module.exports.delete(export);
    }
    Ok(())
}

fn keep_imports(module: &mut Module, names: &BTreeSet<&str>) -> anyhow::Result<()> {
    let mut found = BTreeSet::new();
    let mut uncalled = Vec::new();
    for import in module.imports.iter() {
        let ImportKind::Function(function) = import.kind else { bail!("{} is not a function", import.name) };
        match names.get(import.name.as_str()) {
            Some(name) => _ = found.insert(*name),
            None => uncalled.push(function),
        }
    }
    ensure_all("import", names, &found)?;
    for function in uncalled {
        trap_instead_of(module, function)?;
    }
    Ok(())
}

fn ensure_all(verb: &str, names: &BTreeSet<&str>, found: &BTreeSet<&str>) -> anyhow::Result<()> {
    let missing: Vec<&str> = names.difference(found).copied().collect();
    ensure!(missing.is_empty(), "the module does not {verb} {}, which the list names", missing.join(", "));
    Ok(())
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

    /// A module that imports each of `imports`, and exports for each a function `calls_<import>`, which calls it.
    fn module(imports: &[&str]) -> Vec<u8> {
        let mut module = Module::with_config(ModuleConfig::new());
        let kind = module.types.add(&[], &[ValType::I32]);
        for import in imports {
            let (function, _) = module.add_import_func("env", import, kind);
            let mut builder = FunctionBuilder::new(&mut module.types, &[], &[]);
            builder.func_body().call(function).drop();
            let caller = builder.finish(Vec::new(), &mut module.funcs);
            module.exports.add(&format!("calls_{import}"), caller);
        }
        module.emit_wasm()
    }

    fn kept(bytes: &[u8], imports: &str, exports: Option<&str>) -> anyhow::Result<Module> {
        let kept = keep(bytes, &names(imports), exports.map(names).as_ref())?;
        Module::from_buffer(&kept)
    }

    fn imports(module: &Module) -> Vec<&str> {
        module.imports.iter().map(|import| import.name.as_str()).collect()
    }

    fn exports(module: &Module) -> Vec<&str> {
        module.exports.iter().map(|export| export.name.as_str()).collect()
    }

    #[test]
    fn an_import_that_the_list_does_not_name_is_none_any_more() {
        let kept = kept(&module(&["a", "b", "c"]), "# a comment\n\nb  its use\n", None).unwrap();
        assert_eq!(imports(&kept), ["b"]);
        assert_eq!(exports(&kept), ["calls_a", "calls_b", "calls_c"]);
    }

    #[test]
    fn an_export_that_the_list_does_not_name_goes_with_what_it_alone_needs() {
        let kept = kept(&module(&["a", "b", "c"]), "b", Some("# a comment\n\ncalls_b  its use\n")).unwrap();
        assert_eq!(imports(&kept), ["b"]);
        assert_eq!(exports(&kept), ["calls_b"]);
        assert_eq!(kept.funcs.iter().count(), 2, "the import and its caller");
    }

    #[test]
    fn an_import_that_the_module_does_not_have_is_a_fault() {
        let error = kept(&module(&["a"]), "a\nd\n", None).unwrap_err();
        assert_eq!(error.to_string(), "the module does not import d, which the list names");
    }

    #[test]
    fn an_import_that_only_an_export_needs_that_is_gone_is_a_fault() {
        let error = kept(&module(&["a", "b"]), "a\nb\n", Some("calls_a")).unwrap_err();
        assert_eq!(error.to_string(), "the module does not import b, which the list names");
    }

    #[test]
    fn an_export_that_the_module_does_not_have_is_a_fault() {
        let error = kept(&module(&["a"]), "a", Some("calls_a\ncalls_d\n")).unwrap_err();
        assert_eq!(error.to_string(), "the module does not export calls_d, which the list names");
    }
}
