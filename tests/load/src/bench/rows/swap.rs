//! A new module under load: from the rename to the first answer by the new module on every connection, over the same for
//! a filter that does nothing. What both have is V8, which compiles the module while the old one serves.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use stack::{Bootstrap, copy_of_module};
use tempfile::TempDir;

use crate::measure::{MeasureError, Progress, noop};
use crate::steady::Numbered;

use super::super::changes::{Changing, OF_TWO};
use super::super::policy::{shipped, subscribe};
use super::super::quantiles::{median, millis};
use super::super::{Figure, Goal, Options, Outcome, Unit};

pub(super) async fn measure(options: &Options, progress: &Progress) -> Result<Outcome, MeasureError> {
    let folder = TempDir::new().map_err(|source| MeasureError::System { what: "a temporary folder".into(), source })?;
    let ackguard = shipped()?;
    let version = ackguard.clone();
    let guarded = move |number: u64, module: &Path| {
        let policy = version.clone().edit_policy(|policy| policy["version"] = number.to_string().into());
        policy.wasm(module)
    };
    let bare =
        move |number: u64, module: &Path| ackguard.clone().wasm(module).policy_text(&format!("version={number}"));
    let mut ours = Swapping::start(&stack::wasm(), folder.path(), "x-ackguard", subscribe, guarded).await?;
    let mut noop = Swapping::start(&noop(), folder.path(), "x-noop", subscribe, bare).await?;
    let mut pairs = Vec::new();
    for number in 0..options.swaps {
        // Either begins in turn.
        pairs.push(if number % 2 == 0 {
            let ours = ours.swap().await?;
            [ours, noop.swap().await?]
        } else {
            let noop = noop.swap().await?;
            [ours.swap().await?, noop]
        });
        progress.step();
    }
    let load = ours.changing.stop().await.and(noop.changing.stop().await);
    let ratios: Vec<f64> = pairs.iter().map(|[ours, noop]| ours.as_secs_f64() / noop.as_secs_f64()).collect();
    let side = |place: usize| millis(&pairs.iter().map(|pair| pair[place]).collect::<Vec<_>>());
    let middle = |values: &[f64]| median(values).ok_or(MeasureError::Nothing("no module was changed"));
    let says = "new module: rename → every worker serves it, over a no-op filter's";
    let figures = vec![
        Figure::new("swap_vs_noop", says, middle(&ratios)?, Unit::Ratio).goal(Goal::AtMost(1.5)),
        Figure::new("swap_p50_ms", "· AckGuard's, median", middle(&side(0))?, Unit::Millis),
        Figure::new("swap_noop_p50_ms", "· the no-op filter's, median", middle(&side(1))?, Unit::Millis),
        Figure::failed("swap_failed", load.failed),
    ];
    Ok(Outcome::new(figures, &load))
}

/// A site whose module is changed.
struct Swapping<P> {
    changing: Changing,
    module: Vec<u8>,
    folder: PathBuf,
    header: &'static str,
    put: P,
}

impl<P: Fn(u64, &Path) -> Bootstrap> Swapping<P> {
    /// Starts `module`, whose configuration for a version `put` makes, under load.
    async fn start(
        module: &Path,
        folder: &Path,
        header: &'static str,
        request: Numbered,
        put: P,
    ) -> Result<Self, MeasureError> {
        let system = |source| MeasureError::System { what: module.display().to_string(), source };
        let bytes = fs::read(module).map_err(system)?;
        let changing = Changing::start(put(1, module), request, header, OF_TWO).await?;
        Ok(Self { changing, module: bytes, folder: folder.to_owned(), header, put })
    }

    /// Brings a module that was never there before.
    async fn swap(&mut self) -> Result<Duration, MeasureError> {
        let version = self.changing.next();
        let path = self.folder.join(format!("{}-{version}.wasm", self.header));
        let system = |source| MeasureError::System { what: path.display().to_string(), source };
        fs::write(&path, copy_of_module(&self.module, &version.to_string())).map_err(system)?;
        self.changing.change(&(self.put)(version, &path).extension()?).await
    }
}
