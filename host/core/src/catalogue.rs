//! The catalogue: which components the plugin directory holds, and which tools they offer.
//!
//! It follows the directory: a component that is added, replaced or removed is served without a restart, and a
//! call in flight keeps the component that it began with. A bad file is reported and skipped. A component that is
//! known is listed from the cache and loaded when it is first called; one that is not is loaded at once, and a call
//! that looks for a tool meanwhile waits for it.

mod watch;

pub(crate) use self::watch::Watcher;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use holster_runtime::{
    LoadError, LoadedComponent, Metadata, Progress, Runtime, ToolDefinition, cores, in_background,
    read_component,
};
use holster_types::{ComponentHash, ComponentName, Requirement, ToolName};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{OnceCell, watch as signal};

use crate::admission::Validator;

/// A tool that is served.
pub struct ServedTool {
    definition: ToolDefinition,
    component: Arc<ServedComponent>,
    input: Validator,
    output: Validator,
}

impl ServedTool {
    fn new(definition: ToolDefinition, component: &Arc<ServedComponent>) -> Self {
        Self {
            definition,
            component: Arc::clone(component),
            input: Validator::default(),
            output: Validator::default(),
        }
    }

    /// What is wrong with the arguments of a call. Empty if nothing is.
    pub(crate) async fn input_violations(&self, arguments: &mut Value) -> Vec<String> {
        let schema = &self.definition.input_schema;
        self.input.violations(schema, arguments).await
    }

    /// What is wrong with the structured content of an answer. Empty if nothing is.
    pub(crate) async fn output_violations(&self, structured: Option<&mut Value>) -> Vec<String> {
        match (&self.definition.output_schema, structured) {
            (None, _) => Vec::new(),
            (Some(_), None) => vec!["there is no structured content".to_owned()],
            (Some(schema), Some(structured)) => self.output.violations(schema, structured).await,
        }
    }

    /// What it says of itself.
    pub fn definition(&self) -> &ToolDefinition {
        &self.definition
    }

    /// The component that it belongs to.
    pub fn component(&self) -> &ComponentName {
        &self.component.name
    }

    /// The content of that component.
    pub fn hash(&self) -> ComponentHash {
        self.component.hash
    }

    /// The interfaces that the component imports.
    pub(crate) fn imports(&self) -> BTreeSet<String> {
        self.component.imports.clone()
    }

    /// All tools of that component, and which accounts each requires.
    pub(crate) fn siblings(&self) -> BTreeMap<ToolName, Vec<Requirement>> {
        self.component.requirements.clone()
    }

    /// Where the component was found.
    pub fn path(&self) -> &Path {
        &self.component.path
    }

    /// The component, loaded at most once. The error is a sentence.
    pub(crate) async fn load(&self, runtime: &Runtime) -> Result<Arc<LoadedComponent>, String> {
        let component = &self.component;
        let load = || component.load(runtime, &|_, _| {});
        let loaded = component.loaded.get_or_try_init(load).await;
        loaded.cloned().map_err(|error| error.to_string())
    }
}

struct ServedComponent {
    name: ComponentName,
    path: PathBuf,
    hash: ComponentHash,
    /// The interfaces that it imports.
    imports: BTreeSet<String>,
    /// Which accounts each of its tools requires.
    requirements: BTreeMap<ToolName, Vec<Requirement>>,
    loaded: OnceCell<Arc<LoadedComponent>>,
}

impl ServedComponent {
    async fn load(
        &self,
        runtime: &Runtime,
        observe: &(dyn Fn(&ComponentName, LoadEvent) + Send + Sync),
    ) -> Result<Arc<LoadedComponent>, LoadError> {
        let path = self.path.clone();
        let progress = |progress| observe(&self.name, LoadEvent::Progress(progress));
        runtime
            .load(self.hash, move || read_component(&path), progress)
            .await
    }
}

/// A file that is not served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// Why, and what to do.
    pub reason: String,
}

impl Problem {
    fn warn(&self) {
        tracing::warn!("{} is not served: {}", self.path.display(), self.reason);
    }
}

/// A tool that is not served because another component offers one of the same name. The component whose name
/// comes first serves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// The name.
    pub tool: ToolName,
    /// Who serves it.
    pub served_by: ComponentName,
    /// Whose tool is left out.
    pub left_out: ComponentName,
}

/// What happens to a component while the catalogue takes it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadEvent {
    /// It is being loaded.
    Progress(Progress),
    /// It is served.
    Served,
    /// It is not.
    Refused(String),
}

/// The catalogue at one moment.
#[derive(Default)]
pub struct CatalogueView {
    components: BTreeMap<ComponentName, Component>,
    /// Files whose names are no names of components.
    misnamed: Vec<Problem>,
    tools: BTreeMap<ToolName, Arc<ServedTool>>,
    problems: Vec<Problem>,
    conflicts: Vec<Conflict>,
}

/// What is known of one file.
#[derive(Clone)]
enum Component {
    Loading {
        hash: ComponentHash,
    },
    Served {
        component: Arc<ServedComponent>,
        tools: Vec<Arc<ServedTool>>,
    },
    Refused {
        hash: Option<ComponentHash>,
        problem: Problem,
    },
}

impl Component {
    fn hash(&self) -> Option<ComponentHash> {
        match self {
            Component::Loading { hash } => Some(*hash),
            Component::Served { component, .. } => Some(component.hash),
            Component::Refused { hash, .. } => *hash,
        }
    }
}

impl CatalogueView {
    /// The tools, by name.
    pub fn tools(&self) -> impl Iterator<Item = &Arc<ServedTool>> {
        self.tools.values()
    }

    /// The tool of this name.
    pub fn tool(&self, name: &ToolName) -> Option<&Arc<ServedTool>> {
        self.tools.get(name)
    }

    /// Files that are not served, by path.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Tools that are left out for their name.
    pub fn conflicts(&self) -> &[Conflict] {
        &self.conflicts
    }

    /// Components that are being compiled.
    pub fn loading(&self) -> impl Iterator<Item = &ComponentName> {
        self.components
            .iter()
            .filter(|(_, component)| matches!(component, Component::Loading { .. }))
            .map(|(name, _)| name)
    }

    /// A tool whose name is nearly this one.
    pub(crate) fn similar(&self, name: &ToolName) -> Option<ToolName> {
        const ALIKE: f64 = 0.8;
        let plain = |name: &ToolName| name.as_str().to_ascii_lowercase().replace('-', "_");
        let wanted = plain(name);
        let likeness = |other: &ToolName| {
            let other = plain(other);
            let contained = other.contains(&wanted) || wanted.contains(&other);
            strsim::jaro_winkler(&other, &wanted).max(if contained { ALIKE } else { 0.0 })
        };
        self.tools
            .keys()
            .map(|other| (likeness(other), other))
            .filter(|(likeness, _)| *likeness >= ALIKE)
            .max_by(|(a, _), (b, _)| a.total_cmp(b))
            .map(|(_, other)| other.clone())
    }

    /// The view with these components; conflicts are decided by the components' names.
    fn of(components: BTreeMap<ComponentName, Component>, misnamed: Vec<Problem>) -> Self {
        let mut view = Self {
            problems: misnamed.clone(),
            misnamed,
            ..Self::default()
        };
        for (name, component) in &components {
            match component {
                Component::Loading { .. } => {}
                Component::Refused { problem, .. } => view.problems.push(problem.clone()),
                Component::Served { tools, .. } => {
                    for tool in tools {
                        let tool_name = &tool.definition.name;
                        if let Some(first) = view.tools.get(tool_name) {
                            view.conflicts.push(Conflict {
                                tool: tool_name.clone(),
                                served_by: first.component.name.clone(),
                                left_out: name.clone(),
                            });
                        } else {
                            view.tools.insert(tool_name.clone(), Arc::clone(tool));
                        }
                    }
                }
            }
        }
        view.problems.sort_by(|a, b| a.path.cmp(&b.path));
        view.components = components;
        view
    }
}

/// Called for every step of every load.
pub(crate) type Observer = Arc<dyn Fn(&ComponentName, LoadEvent) + Send + Sync>;

/// The catalogue of one plugin directory.
#[derive(Clone)]
pub(crate) struct Catalogue {
    shared: Arc<Shared>,
}

struct Shared {
    directory: PathBuf,
    runtime: Runtime,
    view: ArcSwap<CatalogueView>,
    changed: signal::Sender<()>,
    observer: Observer,
}

impl Catalogue {
    /// Reads the directory once. A missing directory is an empty one. Must be called within a tokio runtime:
    /// components that are not known are loaded in the background.
    pub(crate) fn open(
        directory: &Path,
        runtime: &Runtime,
        observer: Observer,
    ) -> std::io::Result<Self> {
        let shared = Shared {
            directory: directory.to_owned(),
            runtime: runtime.clone(),
            view: ArcSwap::default(),
            changed: signal::Sender::new(()),
            observer,
        };
        let catalogue = Self {
            shared: Arc::new(shared),
        };
        catalogue.rescan()?;
        Ok(catalogue)
    }

    /// Follows the directory until the last clone is gone.
    pub(crate) fn watch(&self) -> Result<watch::Watcher, notify::Error> {
        let shared = Arc::downgrade(&self.shared);
        watch::Watcher::start(&self.shared.directory, move || {
            if let Some(shared) = shared.upgrade() {
                (Catalogue { shared }).rescan_or_warn();
            }
        })
    }

    fn rescan_or_warn(&self) {
        if let Err(error) = self.rescan() {
            tracing::warn!("the plugin directory cannot be read: {error}");
        }
    }

    /// The catalogue as it is now.
    pub(crate) fn view(&self) -> Arc<CatalogueView> {
        self.shared.view.load_full()
    }

    /// Sees every change from now on.
    pub(crate) fn changes(&self) -> signal::Receiver<()> {
        self.shared.changed.subscribe()
    }

    /// The tool of this name. While components are loading, one of them may yet bring it: then this waits.
    pub(crate) async fn find(&self, name: &ToolName) -> Result<Arc<ServedTool>, Option<ToolName>> {
        let mut changes = self.changes();
        loop {
            let view = self.view();
            if let Some(tool) = view.tool(name) {
                return Ok(Arc::clone(tool));
            }
            if view.loading().next().is_none() || changes.changed().await.is_err() {
                return Err(view.similar(name));
            }
        }
    }

    /// Waits until nothing is loading.
    pub(crate) async fn settled(&self) -> Arc<CatalogueView> {
        let mut changes = self.changes();
        loop {
            let view = self.view();
            if view.loading().next().is_none() || changes.changed().await.is_err() {
                return view;
            }
        }
    }

    /// Compares the directory with the catalogue and takes in what is new.
    fn rescan(&self) -> std::io::Result<()> {
        let Files { named, misnamed } = component_files(&self.shared.directory)?;
        let seen = self.view();
        for problem in misnamed.iter().filter(|new| !seen.misnamed.contains(new)) {
            problem.warn();
        }
        let found = in_parallel(&named, |(name, path)| self.look_at(&seen, name, path));
        self.shared.runtime.cache().remember_files();
        let mut loads = Vec::new();
        self.update(|old| {
            loads.clear();
            let mut components = BTreeMap::new();
            for ((name, path), component) in named.iter().zip(&found) {
                let known = old.components.get(name);
                let same = known
                    .filter(|known| known.hash().is_some() && known.hash() == component.hash());
                if same.is_none()
                    && let Component::Loading { hash } = component
                {
                    loads.push((name.clone(), path.clone(), *hash));
                }
                components.insert(name.clone(), same.unwrap_or(component).clone());
            }
            CatalogueView::of(components, misnamed.clone())
        });
        for (name, path, hash) in loads {
            self.load_in_background(name, path, hash);
        }
        Ok(())
    }

    /// What a file is now: what it was if its content is the same. A component that is known is served at once,
    /// without its code.
    fn look_at(&self, seen: &CatalogueView, name: &ComponentName, path: &Path) -> Component {
        let runtime = &self.shared.runtime;
        let hash = match runtime.cache().hash_of(path) {
            Ok(hash) => hash,
            Err(error) => return refused(None, path, error.to_string()),
        };
        match seen.components.get(name) {
            Some(same) if same.hash() == Some(hash) => same.clone(),
            _ => match runtime.metadata(&hash) {
                None => Component::Loading { hash },
                Some(metadata) => served(name, path, hash, metadata, OnceCell::new()),
            },
        }
    }

    fn load_in_background(&self, name: ComponentName, path: PathBuf, hash: ComponentHash) {
        let catalogue = self.clone();
        tokio::spawn(async move {
            let shared = Arc::clone(&catalogue.shared);
            let unloaded = ServedComponent {
                name,
                path,
                hash,
                imports: BTreeSet::new(),
                requirements: BTreeMap::new(),
                loaded: OnceCell::new(),
            };
            let loaded = unloaded
                .load(&shared.runtime, shared.observer.as_ref())
                .await;
            let ServedComponent { name, path, .. } = unloaded;
            let (component, event) = match loaded {
                Ok(loaded) => {
                    let metadata = loaded.metadata().clone();
                    let loaded = OnceCell::new_with(Some(loaded));
                    (
                        served(&name, &path, hash, metadata, loaded),
                        LoadEvent::Served,
                    )
                }
                Err(error) => {
                    let reason = error.to_string();
                    // What was read was not what was found: that says nothing of the one or of the other.
                    let hash = (!is_of_another_moment(&error)).then_some(hash);
                    (
                        refused(hash, &path, reason.clone()),
                        LoadEvent::Refused(reason),
                    )
                }
            };
            let again = component.hash().is_none();
            if let Component::Refused { problem, .. } = &component {
                problem.warn();
            }
            catalogue.update(|old| {
                let mut components = old.components.clone();
                // The file may have been replaced or removed meanwhile.
                if let Some(place @ Component::Loading { .. }) = components.get_mut(&name)
                    && place.hash() == Some(hash)
                {
                    *place = component.clone();
                }
                CatalogueView::of(components, old.misnamed.clone())
            });
            (shared.observer)(&name, event);
            if again {
                // It may have been found once more meanwhile, and taken for the one that was loading.
                tokio::time::sleep(QUIET).await;
                in_background(move || catalogue.rescan_or_warn()).await;
            }
        });
    }

    fn update(&self, mut change: impl FnMut(&CatalogueView) -> CatalogueView) {
        self.shared.view.rcu(|view| change(view));
        self.shared.changed.send_replace(());
    }
}

/// Whether a file was replaced or removed between the look at it and its load.
fn is_of_another_moment(error: &LoadError) -> bool {
    match error {
        LoadError::Changed => true,
        LoadError::Read(error) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

fn served(
    name: &ComponentName,
    path: &Path,
    hash: ComponentHash,
    Metadata { imports, tools }: Metadata,
    loaded: OnceCell<Arc<LoadedComponent>>,
) -> Component {
    let requirements = tools
        .iter()
        .map(|tool| (tool.name.clone(), tool.requirements.clone()));
    let component = Arc::new(ServedComponent {
        name: name.clone(),
        path: path.to_owned(),
        hash,
        imports,
        requirements: requirements.collect(),
        loaded,
    });
    let tools = tools
        .into_iter()
        .map(|definition| Arc::new(ServedTool::new(definition, &component)))
        .collect();
    Component::Served { component, tools }
}

fn refused(hash: Option<ComponentHash>, path: &Path, reason: String) -> Component {
    Component::Refused {
        hash,
        problem: Problem {
            path: path.to_owned(),
            reason,
        },
    }
}

/// The `*.wasm` files of a directory.
#[derive(Default)]
struct Files {
    /// By component name.
    named: Vec<(ComponentName, PathBuf)>,
    /// Those whose names are no names of components.
    misnamed: Vec<Problem>,
}

/// The components of a directory. Subfolders are not entered.
fn component_files(directory: &Path) -> std::io::Result<Files> {
    let items = match std::fs::read_dir(directory) {
        Ok(items) => items,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Files::default()),
        Err(error) => return Err(error),
    };
    let mut paths = BTreeSet::new();
    for item in items {
        let item = item?;
        let path = item.path();
        let is_wasm = path
            .extension()
            .is_some_and(|extension| extension == "wasm");
        // The entry knows its own type, but not what a link leads to.
        if is_wasm && !item.file_type().is_ok_and(|kind| kind.is_dir()) {
            paths.insert(path);
        }
    }
    let mut files = Files::default();
    for path in paths {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        // A file that is being copied often has a hidden name until it is whole.
        if stem.starts_with('.') {
            continue;
        }
        match ComponentName::new(stem.as_ref()) {
            Ok(name) => files.named.push((name, path)),
            Err(error) => files.misnamed.push(Problem {
                reason: format!("{error}; rename the file"),
                path,
            }),
        }
    }
    Ok(files)
}

/// Does the same to each item, on all cores, and keeps the order. In threads of its own: the pool that compiles may
/// be busy for seconds.
fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    /// Fewer are done before a further thread has started.
    const WORTH_A_THREAD: usize = 64;
    let share = items.len().div_ceil(cores()).max(WORTH_A_THREAD);
    let work = &work;
    std::thread::scope(|scope| {
        let parts: Vec<_> = items
            .chunks(share)
            .map(|part| scope.spawn(move || part.iter().map(work).collect::<Vec<_>>()))
            .collect();
        parts
            .into_iter()
            .flat_map(|part| {
                part.join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    })
}

/// How long the directory must be quiet before it is read: a copy in progress is not a component yet.
const QUIET: Duration = Duration::from_millis(150);
