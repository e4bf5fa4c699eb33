//! From bytes to a component that can be called.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use holster_types::{ComponentHash, ToolName};
use wasmtime::component::Component;
use wasmtime_wasi::WasiCtxBuilder;

use crate::background::{compile, in_background};
use crate::bindings::PluginPre;
use crate::call::discover;
use crate::clock::unknown;
use crate::component::{COMPONENT_BYTES, InvalidComponent, Metadata, inspect};
use crate::large::Large;
use crate::leak::LeakWatch;
use crate::spares::Spares;
use crate::state::{CallState, Surroundings};
use crate::tool::ToolDefinition;
use crate::{CallError, InvalidTool, Limits, Runtime, Sandbox, merge};

/// So many bytes of a component are read at once, in a fraction of a millisecond: some systems serve nobody else on a core as long
/// as they read.
const READ: usize = 1 << 20;

/// A component in memory, ready to be called.
pub struct LoadedComponent {
    hash: ComponentHash,
    metadata: Metadata,
    pub(crate) pre: PluginPre<CallState>,
    pub(crate) spares: Spares,
    /// For each tool, whether its last call computed for long.
    computes: Vec<Arc<AtomicBool>>,
}

impl LoadedComponent {
    fn new(hash: ComponentHash, metadata: Metadata, pre: PluginPre<CallState>) -> Self {
        let needed = pre.instance_pre().component().resources_required();
        Self {
            hash,
            computes: metadata.tools.iter().map(|_| unknown()).collect(),
            metadata,
            pre,
            spares: Spares::of(needed.and_then(|needed| needed.max_initial_memory_size)),
        }
    }

    /// Whether the last call of a tool computed for long: kept by the calls.
    pub(crate) fn computes(&self, tool: &str) -> Arc<AtomicBool> {
        let tools = self.tools().iter().zip(&self.computes);
        let mut found = tools.filter(|(known, _)| known.name.as_str() == tool);
        found
            .next()
            .map_or_else(unknown, |(_, computes)| Arc::clone(computes))
    }

    /// The hash of the component's bytes.
    pub fn hash(&self) -> &ComponentHash {
        &self.hash
    }

    /// What is known of it without its code.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Its tools, in the order in which it lists them.
    pub fn tools(&self) -> &[ToolDefinition] {
        &self.metadata.tools
    }

    /// The tool of this name.
    pub fn tool(&self, name: &ToolName) -> Option<&ToolDefinition> {
        self.tools().iter().find(|tool| tool.name == *name)
    }
}

/// How far a load is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The code is being compiled: seconds for JavaScript and Python.
    Compiling,
    /// The code was compiled, in this time.
    Compiled(Duration),
    /// The code was in the cache.
    Cached,
}

/// Why a component cannot be called.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum LoadError {
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("the file has changed since it was found; try again")]
    Changed,
    #[error(transparent)]
    Component(#[from] InvalidComponent),
    #[error("it does not compile: {0}")]
    Compile(String),
    #[error("it does not fit the world `holster:plugin/plugin`: {0}")]
    Link(String),
    #[error("`list-tools` does not answer: {}", when_listed(.0))]
    Discover(CallError),
    #[error(transparent)]
    Tools(#[from] InvalidTool),
}

/// What went wrong in `list-tools`. Its limits are fixed, so that the advice to allow it more would mislead.
fn when_listed(error: &CallError) -> String {
    match error {
        CallError::TimedOut(time) => format!("it may take {} s, and takes longer", time.as_secs()),
        CallError::OutOfMemory(bytes) => {
            format!("it may use {} MiB of memory, and needs more", bytes >> 20)
        }
        CallError::OutOfTable(elements) => {
            format!("it may use {elements} table elements, and needs more")
        }
        CallError::OutputTooLarge(bytes) => {
            format!("it may give {} MiB, and gives more", bytes >> 20)
        }
        CallError::TooManyHostCalls(_) => "it may not ask for accounts".to_owned(),
        other => other.to_string(),
    }
}

/// Reads the file of a component. Nothing of it is read where it is not a file or too large for a component.
pub fn read_component(path: &Path) -> Result<Vec<u8>, LoadError> {
    let size = component_bytes(&fs::metadata(path)?)?;
    let mut file = File::open(path)?.take(COMPONENT_BYTES as u64 + 1);
    let mut bytes = Vec::with_capacity(size);
    while file.by_ref().take(READ as u64).read_to_end(&mut bytes)? > 0 {}
    Ok(bytes)
}

/// How many bytes the file of a component has. Fails where it is not a file or too large for one.
pub(crate) fn component_bytes(metadata: &fs::Metadata) -> Result<usize, LoadError> {
    if !metadata.is_file() {
        // A pipe that nobody writes to would hold up the host.
        return Err(io::Error::other("it is not a file").into());
    }
    match usize::try_from(metadata.len()).unwrap_or(usize::MAX) {
        size if size > COMPONENT_BYTES => Err(InvalidComponent::TooLarge { size }.into()),
        size => Ok(size),
    }
}

impl Runtime {
    /// Makes the component of this hash callable: from the code cache, or else from its bytes, which are compiled
    /// once, however many tasks and processes wait for them. `read` is called only if they are needed.
    pub async fn load(
        &self,
        hash: ComponentHash,
        read: impl FnOnce() -> Result<Vec<u8>, LoadError> + Send + 'static,
        progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<Arc<LoadedComponent>, LoadError> {
        let counted = |step| {
            self.loads.progressed(step);
            progress(step);
        };
        let loaded = self.cached_or_compiled(hash, read, counted).await;
        loaded.inspect_err(|_| self.loads.failed())
    }

    async fn cached_or_compiled(
        &self,
        hash: ComponentHash,
        read: impl FnOnce() -> Result<Vec<u8>, LoadError> + Send + 'static,
        progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<Arc<LoadedComponent>, LoadError> {
        if let Some(loaded) = self.load_cached(hash).await {
            progress(Progress::Cached);
            return Ok(loaded);
        }
        let _only_one = self.cache.lock(&hash).await;
        if let Some(loaded) = self.load_cached(hash).await {
            progress(Progress::Cached);
            return Ok(loaded);
        }
        let permit = Arc::clone(&self.engine.compilers).acquire_owned().await;
        progress(Progress::Compiling);
        let start = Instant::now();
        let engine = self.engine.wasmtime().clone();
        let (imports, component, code) = in_background(move || {
            let bytes = Large::from(read()?);
            if ComponentHash::of(&bytes) != hash {
                return Err(LoadError::Changed);
            }
            let imports = inspect(&bytes)?.imports;
            let failed = |error: wasmtime::Error| LoadError::Compile(format!("{error:#}"));
            let merged = merge::merged(&bytes).map(Large::from);
            let bytes = merged.as_deref().unwrap_or(&bytes);
            let component = compile(|| Component::new(&engine, bytes)).map_err(failed)?;
            let code = component.serialize().map_err(failed)?;
            drop(permit);
            Ok((imports, component, Large::from(code)))
        })
        .await?;
        let pre = self.link(&component)?;
        let tools = self
            .tools_of(&pre, CallState::discovery(&self.egress, &self.needles))
            .await?;
        let metadata = Metadata {
            imports: imports.into_iter().collect(),
            tools,
        };
        let elapsed = start.elapsed();
        tracing::debug!("compiled component {} in {elapsed:.1?}", hash.short());
        progress(Progress::Compiled(elapsed));
        self.keep(hash, code, metadata.clone()).await;
        Ok(Arc::new(LoadedComponent::new(hash, metadata, pre)))
    }

    /// Asks a component for its tools once more, with the clocks and the random numbers of a real call. The answer
    /// of a component that keeps its contract is that of [`LoadedComponent::tools`].
    pub async fn discover_again(
        &self,
        component: &LoadedComponent,
    ) -> Result<Vec<ToolDefinition>, LoadError> {
        let sandbox = Sandbox {
            limits: Limits::DISCOVERY,
            ..Sandbox::default()
        };
        let watch = LeakWatch::new(Arc::new([]), &self.needles);
        let state = CallState::new(Surroundings {
            tool: "list-tools",
            watch: &watch,
            sandbox: &sandbox,
            wasi: WasiCtxBuilder::new(),
            egress: self.egress.for_call(None, &watch, &sandbox, Arc::default()),
        });
        self.tools_of(&component.pre, state).await
    }

    async fn tools_of(
        &self,
        pre: &PluginPre<CallState>,
        state: CallState,
    ) -> Result<Vec<ToolDefinition>, LoadError> {
        let tools = discover(self, pre, state)
            .await
            .map_err(LoadError::Discover)?;
        Ok(in_background(move || ToolDefinition::from_guest(tools)).await?)
    }

    async fn load_cached(&self, hash: ComponentHash) -> Option<Arc<LoadedComponent>> {
        let cache = self.cache.clone();
        let engine = self.engine.wasmtime().clone();
        let load = move || cache.load(&engine, &hash);
        // Unlike what can wait, on a thread that does not give way.
        let (component, metadata) = match tokio::task::spawn_blocking(load).await {
            Ok(loaded) => loaded?,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        let pre = self.link(&component).ok()?;
        Some(Arc::new(LoadedComponent::new(hash, metadata, pre)))
    }

    /// A cache that cannot be written costs time, not the call.
    async fn keep(&self, hash: ComponentHash, code: Large, metadata: Metadata) {
        let cache = self.cache.clone();
        if let Err(error) = in_background(move || cache.store(&hash, &code, metadata)).await {
            tracing::warn!(
                "the code of component {} is not cached, and is compiled again at the next start: {error}; see that the \
                 disk has room",
                hash.short()
            );
        }
    }

    fn link(&self, component: &Component) -> Result<PluginPre<CallState>, LoadError> {
        self.engine
            .linker()
            .instantiate_pre(component)
            .and_then(PluginPre::new)
            .map_err(|error| LoadError::Link(format!("{error:#}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("component.wasm");
        for size in [0, 1, READ, READ * 2 + 5] {
            let bytes: Vec<u8> = (0..=250).cycle().take(size).collect();
            fs::write(&path, &bytes).unwrap();
            assert!(read_component(&path).unwrap() == bytes, "{size}");
        }
        let largest = COMPONENT_BYTES as u64;
        File::create(&path).unwrap().set_len(largest + 1).unwrap();
        let refused = read_component(&path).unwrap_err();
        assert!(
            matches!(
                refused,
                LoadError::Component(InvalidComponent::TooLarge { .. })
            ),
            "{refused}"
        );
        let refused = read_component(folder.path()).unwrap_err();
        assert!(refused.to_string().contains("not a file"), "{refused}");
    }
}
