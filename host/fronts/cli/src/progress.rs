//! Progress of compiles, on a terminal only: a line for each component that takes longer than a moment.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

use holster_core::types::ComponentName;
use holster_core::{LoadEvent, Progress};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Shows what the catalogue is loading.
pub(crate) struct Compiles {
    bars: MultiProgress,
    running: Mutex<HashMap<ComponentName, ProgressBar>>,
    shown: bool,
}

impl Compiles {
    /// Nothing is shown where standard error is no terminal.
    pub(crate) fn new() -> Self {
        Self {
            bars: MultiProgress::new(),
            running: Mutex::default(),
            shown: std::io::stderr().is_terminal(),
        }
    }

    /// Takes in one step of one component.
    pub(crate) fn observe(&self, component: &ComponentName, event: &LoadEvent) {
        if !self.shown {
            return;
        }
        let mut running = self
            .running
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        match event {
            LoadEvent::Progress(Progress::Compiling) => {
                let style = ProgressStyle::with_template("{spinner} {elapsed:>4} {msg}")
                    .expect("a valid template");
                let bar = self.bars.add(ProgressBar::new_spinner().with_style(style));
                bar.set_message(format!("compiling {component}, once for this machine"));
                bar.enable_steady_tick(Duration::from_millis(120));
                running.insert(component.clone(), bar);
            }
            LoadEvent::Progress(_) => {}
            LoadEvent::Served | LoadEvent::Refused(_) => {
                if let Some(bar) = running.remove(component) {
                    bar.finish_and_clear();
                }
            }
        }
    }
}
