//! What is counted of components: how often their code was there, and how often it had to be made.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::Runtime;
use crate::loaded::Progress;

/// Components that came into memory, or were to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Loads(Family<Load, Counter>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Load {
    result: &'static str,
}

impl Loads {
    /// A load has come this far.
    pub(crate) fn progressed(&self, progress: Progress) {
        match progress {
            Progress::Compiling => {}
            Progress::Compiled(_) => self.count("compiled"),
            Progress::Cached => self.count("cached"),
        }
    }

    /// A component cannot be called.
    pub(crate) fn failed(&self) {
        self.count("failed");
    }

    fn count(&self, result: &'static str) {
        self.0.get_or_create(&Load { result }).inc();
    }
}

impl Runtime {
    /// Puts what is counted here among the numbers of a registry.
    pub fn register_metrics(&self, registry: &mut Registry) {
        let help = "Components that were loaded: their code was in the cache, or was compiled, or neither was possible";
        registry.register("component_loads", help, self.loads.0.clone());
    }
}
