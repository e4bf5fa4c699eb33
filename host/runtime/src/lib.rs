//! The runtime: components in, answers out, and nothing else gets in or out.
//!
//! [`Runtime::load`] turns a component's bytes into code, compiled at most once per machine, and tells its tools.
//! [`Runtime::call`] runs one tool in a fresh instance under limits, with the grants it is given; the guest's only
//! way out is the egress. The runtime knows nothing about profiles' storage, providers, policy files or servers.

#![deny(unsafe_code)]

mod auth;
mod background;
mod bindings;
mod call;
mod clock;
mod code_cache;
mod component;
mod egress;
mod engine;
mod files;
mod folders;
mod guest_log;
mod large;
mod leak;
mod limits;
mod loaded;
mod merge;
mod metrics;
pub mod schema;
mod sealing;
mod session;
mod spares;
mod state;
mod swap;
mod tool;

pub use background::{cores, in_background};
pub use call::{CallContext, CallError, HostVisit, Invocation, Report, Sandbox};
pub use code_cache::{CacheEntry, CacheError, CacheVerdict, CodeCache};
pub use component::{Interface, InvalidComponent, Metadata, WORLD_IMPORTS, inspect};
pub use engine::{EngineSettings, RuntimeError};
pub use folders::{Folder, MissingFolder};
pub use leak::{Leak, LeakPlace};
pub use limits::{LimitError, Limits};
pub use loaded::{LoadError, LoadedComponent, Progress, read_component};
pub use session::{
    Answer, Answering, CallProgress, Choice, Form, Format, Items, Kind, LogLevel, LogMessage,
    Property, QUESTION_TIME, Question, Session, Unanswered,
};
pub use tool::{
    Behaviour, Content, InvalidTool, ResourceContents, ToolDefinition, ToolError, ToolOutput,
};

use std::path::PathBuf;
use std::sync::Arc;

use holster_types::ComponentHash;

/// Where the runtime keeps compiled code, and how large it may grow.
#[derive(Debug, Clone)]
pub struct RuntimeSettings {
    /// How the engine allocates.
    pub engine: EngineSettings,
    /// The folder of the code cache; made with mode 0700 if it is missing.
    pub cache_directory: PathBuf,
    /// The size in bytes above which the least recently used code is removed. At least one entry stays.
    pub cache_bytes: u64,
}

/// One engine, one code cache and one egress, for all components and all calls of a process.
#[derive(Clone)]
pub struct Runtime {
    engine: Arc<engine::Engine>,
    cache: CodeCache,
    egress: egress::Egress,
    needles: leak::NeedleCache,
    loads: metrics::Loads,
}

impl Runtime {
    /// Starts the engine and opens the cache. Compiles and reads no component.
    pub fn open(settings: &RuntimeSettings) -> Result<Self, RuntimeError> {
        let engine = engine::Engine::start(&settings.engine)?;
        let cache = CodeCache::open(
            &settings.cache_directory,
            settings.cache_bytes,
            engine.wasmtime(),
        )?;
        Ok(Self {
            engine: Arc::new(engine),
            cache,
            egress: egress::Egress::new(),
            needles: leak::NeedleCache::new(),
            loads: metrics::Loads::default(),
        })
    }

    /// The code cache, for the commands that show, verify and clear it.
    pub fn cache(&self) -> &CodeCache {
        &self.cache
    }

    /// The metadata of a component that was loaded before on this machine: read from the cache, with nothing compiled
    /// and nothing instantiated. `None` if the component is not known, or if what is kept of it is not authentic.
    pub fn metadata(&self, hash: &ComponentHash) -> Option<Metadata> {
        self.cache.metadata(hash)
    }
}
