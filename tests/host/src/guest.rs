//! The module as a call of the host sees it: what it hands over, and how it is given bytes.

use wasmi::{Caller, Error, Memory};

use crate::calls::Tally;
use crate::host::Host;

/// The module, within one call.
pub(crate) struct Guest<'a> {
    caller: Caller<'a, Host>,
    call: &'static str,
}

impl<'a> Guest<'a> {
    /// Begins a call, which is counted.
    pub(crate) fn calls(caller: Caller<'a, Host>, call: &'static str) -> Self {
        let mut guest = Guest { caller, call };
        guest.tally().calls += 1;
        guest
    }

    pub(crate) fn host(&mut self) -> &mut Host {
        self.caller.data_mut()
    }

    fn tally(&mut self) -> &mut Tally {
        let call = self.call;
        self.host().calls.of(call)
    }

    /// That the filter has no business to ask this.
    pub(crate) fn fault(&self, what: impl std::fmt::Display) -> Error {
        Error::new(format!("{}: {what}", self.call))
    }

    fn memory(&self) -> Result<Memory, Error> {
        let memory = self.caller.get_export("memory").and_then(|export| export.into_memory());
        memory.ok_or_else(|| self.fault("the module exports no memory"))
    }

    /// Bytes that the filter hands over.
    pub(crate) fn bytes(&mut self, at: u32, size: u32) -> Result<Vec<u8>, Error> {
        self.tally().bytes_out += u64::from(size);
        let mut bytes = vec![0; size as usize];
        self.memory()?.read(&self.caller, at as usize, &mut bytes).map_err(|error| self.fault(error))?;
        Ok(bytes)
    }

    /// The same, where they must be text.
    pub(crate) fn text(&mut self, at: u32, size: u32) -> Result<String, Error> {
        String::from_utf8(self.bytes(at, size)?).map_err(|error| self.fault(error))
    }

    /// Puts a result into the place that the filter has for it.
    pub(crate) fn put(&mut self, at: u32, result: &[u8]) -> Result<(), Error> {
        let memory = self.memory()?;
        memory.write(&mut self.caller, at as usize, result).map_err(|error| self.fault(error))
    }

    /// Gives the filter bytes: in memory that its own allocator is asked for, unless there are none; where they are and
    /// how many goes into the places that it has for that.
    pub(crate) fn give(&mut self, bytes: &[u8], address_at: u32, size_at: u32) -> Result<(), Error> {
        let size = u32::try_from(bytes.len()).map_err(|error| self.fault(error))?;
        let mut address = 0;
        if size > 0 {
            let tally = self.tally();
            tally.reentries += 1;
            tally.bytes_in += u64::from(size);
            address = self.allocate(size)?;
            self.put(address, bytes)?;
        }
        self.put(address_at, &address.to_le_bytes())?;
        self.put(size_at, &size.to_le_bytes())
    }

    fn allocate(&mut self, size: u32) -> Result<u32, Error> {
        // Which of the two the SDK exports depends on its target.
        let names = ["malloc", "proxy_on_memory_allocate"];
        let found = names.iter().find_map(|name| self.caller.get_export(name)?.into_func());
        let allocator = found.ok_or_else(|| self.fault("the module exports no allocator"))?;
        let address = allocator.typed::<u32, u32>(&self.caller)?.call(&mut self.caller, size)?;
        if address == 0 { Err(self.fault("the module has no memory left")) } else { Ok(address) }
    }
}
