//! The calls of the host: those that `src/plugin/imports.txt` lists.

mod shared;
mod stream;

use wasmi::{Caller, Error, Linker, Module, Val};

use crate::guest::Guest;
use crate::host::Host;

/// What a call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Ok = 0,
    NotFound = 1,
    BadArgument = 2,
    CasMismatch = 8,
}

/// A call, by its import's name without `proxy_`.
type Call = (&'static str, fn(&mut Guest<'_>, &[u64]) -> Result<Status, Error>);

const PREFIX: &str = "proxy_";

const CALLS: [Call; 21] = [
    ("get_buffer_bytes", stream::get_buffer_bytes),
    ("set_buffer_bytes", stream::set_buffer_bytes),
    ("get_header_map_pairs", stream::get_header_map_pairs),
    ("get_header_map_value", stream::get_header_map_value),
    ("add_header_map_value", stream::add_header_map_value),
    ("replace_header_map_value", stream::replace_header_map_value),
    ("remove_header_map_value", stream::remove_header_map_value),
    ("send_local_response", stream::send_local_response),
    ("continue_stream", stream::continue_stream),
    ("get_property", stream::get_property),
    ("set_property", stream::set_property),
    ("grpc_call", shared::grpc_call),
    ("get_shared_data", shared::get_shared_data),
    ("set_shared_data", shared::set_shared_data),
    ("get_current_time_nanoseconds", shared::get_current_time_nanoseconds),
    ("set_tick_period_milliseconds", shared::set_tick_period_milliseconds),
    ("define_metric", shared::define_metric),
    ("increment_metric", shared::increment_metric),
    ("record_metric", shared::record_metric),
    ("log", shared::log),
    ("set_effective_context", shared::set_effective_context),
];

/// Links the calls that a module imports.
///
/// # Errors
/// Where it imports anything else, or not all of them: the double would say nothing of what is not there.
pub(crate) fn link(linker: &mut Linker<Host>, module: &Module) -> Result<(), Error> {
    let mut missing: Vec<&str> = CALLS.iter().map(|(call, _)| *call).collect();
    for import in module.imports() {
        let name = import.name().strip_prefix(PREFIX).filter(|_| import.module() == "env");
        let known = CALLS.iter().find(|(call, _)| name == Some(*call));
        let (Some((call, act)), Some(of)) = (known, import.ty().func()) else {
            return Err(Error::new(format!("unknown import {}.{}", import.module(), import.name())));
        };
        missing.retain(|missing| missing != call);
        linker.func_new("env", import.name(), of.clone(), move |caller, arguments, results| {
            let status = answer(caller, call, arguments, *act)?;
            for result in results {
                *result = Val::I32(status as i32);
            }
            Ok(())
        })?;
    }
    if missing.is_empty() { Ok(()) } else { Err(Error::new(format!("the module does not import {missing:?}"))) }
}

fn answer(
    caller: Caller<'_, Host>,
    call: &'static str,
    arguments: &[Val],
    act: fn(&mut Guest<'_>, &[u64]) -> Result<Status, Error>,
) -> Result<Status, Error> {
    let mut guest = Guest::calls(caller, call);
    let numbers: Option<Vec<u64>> = arguments.iter().map(number).collect();
    let numbers = numbers.ok_or_else(|| guest.fault("an argument that is no whole number"))?;
    act(&mut guest, &numbers)
}

fn number(value: &Val) -> Option<u64> {
    match value {
        Val::I32(value) => Some(value.cast_unsigned().into()),
        Val::I64(value) => Some(value.cast_unsigned()),
        _ => None,
    }
}

/// The arguments of a call that has so many.
fn arguments<const N: usize>(guest: &Guest<'_>, given: &[u64]) -> Result<[u64; N], Error> {
    given.try_into().map_err(|_| guest.fault(format_args!("{} arguments, not {N}", given.len())))
}

/// The same, where all are of 32 bits.
fn words<const N: usize>(guest: &Guest<'_>, given: &[u64]) -> Result<[u32; N], Error> {
    let given = arguments::<N>(guest, given)?;
    let mut words = [0; N];
    for (word, given) in words.iter_mut().zip(given) {
        *word = u32::try_from(given).map_err(|error| guest.fault(error))?;
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use wasmi::Engine;

    use super::*;

    /// A module that imports one function, without arguments and result.
    fn importing(module: &str, name: &str) -> Vec<u8> {
        let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        let import = [&[1], &*text(module), &*text(name), &[0, 0]].concat();
        let types = [1, 4, 1, 0x60, 0, 0];
        let size = u8::try_from(import.len()).unwrap();
        [b"\0asm\x01\0\0\0", &types[..], &[2, size], &import].concat()
    }

    fn linked(bytes: &[u8]) -> String {
        let engine = Engine::default();
        let module = Module::new(&engine, bytes).unwrap();
        link(&mut Linker::new(&engine), &module).unwrap_err().to_string()
    }

    #[test]
    fn a_module_that_imports_what_the_double_has_not_is_refused() {
        assert_eq!(linked(&importing("env", "proxy_done")), "unknown import env.proxy_done");
        assert_eq!(linked(&importing("wasi", "proxy_log")), "unknown import wasi.proxy_log");
        assert_eq!(linked(&importing("env", "log")), "unknown import env.log");
    }

    #[test]
    fn a_module_that_does_not_import_all_that_the_double_has_is_refused() {
        let told = linked(&importing("env", "proxy_log"));
        assert!(told.contains("does not import") && told.contains("get_property"), "{told}");
        assert!(!told.contains(r#""log""#), "{told}");
    }
}
