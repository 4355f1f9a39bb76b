//! What a simulated disk holds: the files as a process sees them, and how much of that is durable.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The unit in which a disk writes: of a write that was not synced, each may be on the medium or not.
const SECTOR_BYTES: usize = 512;

/// How likely in percent, in one crash, each thing that was not synced is to be on the medium.
const ODDS: [u8; 5] = [0, 30, 70, 95, 100];

/// One change of a file's bytes.
#[derive(Clone)]
pub(super) enum Edit {
    Bytes { at: u64, bytes: Box<[u8]> },
    Length(u64),
}

/// The files by number, and their names.
#[derive(Clone, Default)]
pub(super) struct Content {
    files: Vec<File>,
    names: Names,
    durable_names: Names,
    unsynced_names: Vec<Naming>,
}

type Names = BTreeMap<PathBuf, usize>;

#[derive(Clone, Default)]
struct File {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Edit>,
}

/// A file got a name, another one, or lost its name.
#[derive(Clone)]
struct Naming {
    file: usize,
    from: Option<PathBuf>,
    to: Option<PathBuf>,
}

impl Edit {
    /// The least length of the file after it.
    pub(super) fn end(&self) -> u64 {
        match self {
            Self::Bytes { at, bytes } => at + bytes.len() as u64,
            Self::Length(length) => *length,
        }
    }

    fn apply(&self, file: &mut Vec<u8>) {
        let end = usize::try_from(self.end()).unwrap();
        match self {
            Self::Length(_) => file.resize(end, 0),
            Self::Bytes { bytes, .. } => {
                file.resize(file.len().max(end), 0);
                file[end - bytes.len()..end].copy_from_slice(bytes);
            }
        }
    }

    /// The parts that reach the medium each for itself.
    fn sectors(&self) -> Vec<Edit> {
        let Self::Bytes { at, bytes } = self else { return vec![self.clone()] };
        let (mut sectors, mut at, mut rest) = (Vec::new(), *at, &bytes[..]);
        while !rest.is_empty() {
            let in_sector = SECTOR_BYTES - usize::try_from(at).unwrap() % SECTOR_BYTES;
            let (sector, further) = rest.split_at(in_sector.min(rest.len()));
            sectors.push(Self::Bytes { at, bytes: sector.into() });
            (at, rest) = (at + sector.len() as u64, further);
        }
        sectors
    }
}

impl Naming {
    fn apply(&self, names: &mut Names) {
        if let Some(from) = self.from.as_ref().filter(|from| names.get(*from) == Some(&self.file)) {
            names.remove(from);
        }
        if let Some(to) = &self.to {
            names.insert(to.clone(), self.file);
        }
    }

    fn touches(&self, directory: &Path) -> bool {
        [&self.from, &self.to].into_iter().flatten().any(|path| path.parent() == Some(directory))
    }
}

impl File {
    fn edit(&mut self, edit: Edit) {
        edit.apply(&mut self.bytes);
        self.unsynced.push(edit);
    }

    fn sync(&mut self) {
        for edit in self.unsynced.drain(..) {
            edit.apply(&mut self.durable);
        }
    }

    /// Keeps what is durable, and of the rest what chance decides: any sectors, the last of them maybe torn.
    fn lose(&mut self, rng: &mut fastrand::Rng) {
        let odds = ODDS[rng.usize(..ODDS.len())];
        let sectors = self.unsynced.drain(..).flat_map(|edit| edit.sectors());
        let mut kept: Vec<_> = sectors.filter(|_| rng.u8(..100) < odds).collect();
        if let Some(Edit::Bytes { bytes, .. }) = kept.last_mut().filter(|_| rng.bool()) {
            *bytes = bytes[..rng.usize(..=bytes.len())].into();
        }
        for edit in kept {
            edit.apply(&mut self.durable);
        }
        self.bytes.clone_from(&self.durable);
    }
}

impl Content {
    /// The paths that have a file.
    pub(super) fn names(&self) -> impl Iterator<Item = &PathBuf> {
        self.names.keys()
    }

    /// The file of this name.
    pub(super) fn find(&self, path: &Path) -> Option<usize> {
        self.names.get(path).copied()
    }

    /// The file of this name, made if it is missing.
    pub(super) fn create(&mut self, path: &Path) -> usize {
        if let Some(file) = self.find(path) {
            return file;
        }
        self.files.push(File::default());
        let file = self.files.len() - 1;
        self.name(Naming { file, from: None, to: Some(path.into()) });
        file
    }

    /// Gives a file another name or none; `None` if there is no such file.
    pub(super) fn rename(&mut self, from: &Path, to: Option<&Path>) -> Option<()> {
        let file = self.find(from)?;
        self.name(Naming { file, from: Some(from.into()), to: to.map(Path::to_path_buf) });
        Some(())
    }

    /// The bytes of a file as a process reads them.
    pub(super) fn bytes(&self, file: usize) -> &[u8] {
        &self.files[file].bytes
    }

    /// The bytes of all files that have a name.
    pub(super) fn size(&self) -> u64 {
        self.names.values().map(|&file| self.bytes(file).len() as u64).sum()
    }

    pub(super) fn edit(&mut self, file: usize, edit: Edit) {
        self.files[file].edit(edit);
    }

    /// Makes a file's bytes durable.
    pub(super) fn sync(&mut self, file: usize) {
        self.files[file].sync();
    }

    /// Makes the names in a directory durable.
    pub(super) fn sync_names(&mut self, directory: &Path) {
        for naming in self.unsynced_names.extract_if(.., |naming| naming.touches(directory)) {
            naming.apply(&mut self.durable_names);
        }
    }

    /// Keeps what is durable, and of the rest what chance decides.
    pub(super) fn lose(&mut self, rng: &mut fastrand::Rng) {
        for file in &mut self.files {
            file.lose(rng);
        }
        let odds = ODDS[rng.usize(..ODDS.len())];
        for naming in self.unsynced_names.drain(..).filter(|_| rng.u8(..100) < odds) {
            naming.apply(&mut self.durable_names);
        }
        self.names.clone_from(&self.durable_names);
    }

    fn name(&mut self, naming: Naming) {
        naming.apply(&mut self.names);
        self.unsynced_names.push(naming);
    }
}
