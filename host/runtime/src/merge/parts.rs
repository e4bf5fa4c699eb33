//! What a component is made of, in the order in which it is made.

use std::collections::HashMap;

use wasm_encoder::ExportKind;
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExternalKind, ComponentOuterAliasKind,
    ComponentTypeRef, ExternalKind, Instance, Parser, Payload, Result,
};

/// What of a module can be imported and exported, but for tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Function,
    Table,
    Memory,
    Global,
}

impl Kind {
    pub(super) const COUNT: usize = 4;

    pub(super) fn of(kind: ExternalKind) -> Option<Self> {
        match kind {
            ExternalKind::Func | ExternalKind::FuncExact => Some(Self::Function),
            ExternalKind::Table => Some(Self::Table),
            ExternalKind::Memory => Some(Self::Memory),
            ExternalKind::Global => Some(Self::Global),
            ExternalKind::Tag => None,
        }
    }

    pub(super) fn exported(self) -> ExportKind {
        match self {
            Self::Function => ExportKind::Func,
            Self::Table => ExportKind::Table,
            Self::Memory => ExportKind::Memory,
            Self::Global => ExportKind::Global,
        }
    }
}

/// A function, table, memory or global of modules, by its number in the component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Item {
    pub(super) kind: Kind,
    pub(super) index: u32,
}

/// Where an item comes from.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    /// The entry that gave it its number.
    pub(super) position: usize,
    /// The instance that it is an export of. `None`: the component made it from a function of its own.
    pub(super) instance: Option<u32>,
    definition: Definition<'a>,
}

/// What stands behind a name, with all aliases followed.
#[derive(Clone, Copy)]
pub(super) struct Definition<'a> {
    /// The instance of a module that exports it, and the name.
    pub(super) export: Option<(u32, &'a str)>,
    /// The number that it has in the component, if it has one.
    pub(super) item: Option<Item>,
}

/// What a module asks for.
pub(super) struct Import<'a> {
    pub(super) module: &'a str,
    pub(super) name: &'a str,
    pub(super) kind: Kind,
}

/// A step in the making of a component.
pub(super) enum Entry<'a> {
    /// A section in which nothing of modules is numbered.
    Section {
        id: u8,
        data: &'a [u8],
    },
    Module(u32),
    Instance(u32),
    /// `item`: what it numbers, if that is an item.
    Alias {
        alias: ComponentAlias<'a>,
        item: Option<Item>,
    },
    Canonical {
        function: CanonicalFunction,
        item: Option<Item>,
    },
}

/// A component in its parts.
#[derive(Default)]
pub(super) struct Parts<'a> {
    pub(super) entries: Vec<Entry<'a>>,
    /// The bytes of each module. `None`: it comes from elsewhere.
    pub(super) modules: Vec<Option<&'a [u8]>>,
    pub(super) instances: Vec<Instance<'a>>,
    /// What each instance has by name: its arguments, if it is of a module, else what it exports.
    arguments: Vec<HashMap<&'a str, u32>>,
    exports: Vec<HashMap<&'a str, Item>>,
    origins: HashMap<Item, Origin<'a>>,
    /// The entries of modules and instances.
    module_positions: Vec<usize>,
    instance_positions: Vec<usize>,
    counts: [u32; Kind::COUNT],
}

impl<'a> Parts<'a> {
    pub(super) fn read(component: &'a [u8]) -> Result<Self> {
        let mut parts = Self::default();
        let mut depth = 0;
        for payload in Parser::new(0).parse_all(component) {
            let payload = payload?;
            match payload {
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth -= 1,
                payload if depth == 1 => parts.add(payload, component)?,
                _ => {}
            }
        }
        Ok(parts)
    }

    fn add(&mut self, payload: Payload<'a>, component: &'a [u8]) -> Result<()> {
        let whole = payload.as_section().map(|(id, range)| Entry::Section {
            id,
            data: &component[range],
        });
        match payload {
            Payload::ModuleSection {
                unchecked_range, ..
            } => self.add_module(&component[unchecked_range]),
            Payload::InstanceSection(section) => {
                for instance in section {
                    self.add_instance(instance?);
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    self.add_alias(alias?);
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for function in section {
                    self.add_canonical(function?);
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    if matches!(import?.ty, ComponentTypeRef::Module(_)) {
                        self.add_module_from_elsewhere();
                    }
                }
                self.entries.extend(whole);
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    // An export has a number of its own.
                    if export?.kind == ComponentExternalKind::Module {
                        self.add_module_from_elsewhere();
                    }
                }
                self.entries.extend(whole);
            }
            // Names go by the numbers.
            Payload::CustomSection(_) => {}
            _ => self.entries.extend(whole),
        }
        Ok(())
    }

    fn add_module(&mut self, bytes: &'a [u8]) {
        let number = u32::try_from(self.modules.len()).expect("a component counts in 32 bits");
        self.module_positions.push(self.entries.len());
        self.modules.push(Some(bytes));
        self.entries.push(Entry::Module(number));
    }

    fn add_module_from_elsewhere(&mut self) {
        self.module_positions.push(self.entries.len());
        self.modules.push(None);
    }

    fn add_instance(&mut self, instance: Instance<'a>) {
        let number = u32::try_from(self.instances.len()).expect("a component counts in 32 bits");
        self.instance_positions.push(self.entries.len());
        let (mut arguments, mut exports) = (HashMap::new(), HashMap::new());
        match &instance {
            Instance::Instantiate { args, .. } => {
                arguments.extend(args.iter().map(|argument| (argument.name, argument.index)));
            }
            Instance::FromExports(items) => exports.extend(items.iter().filter_map(|export| {
                let (kind, index) = (Kind::of(export.kind)?, export.index);
                Some((export.name, Item { kind, index }))
            })),
        }
        self.arguments.push(arguments);
        self.exports.push(exports);
        self.instances.push(instance);
        self.entries.push(Entry::Instance(number));
    }

    fn add_alias(&mut self, alias: ComponentAlias<'a>) {
        let item = match alias {
            ComponentAlias::CoreInstanceExport {
                kind,
                instance_index,
                name,
            } => Kind::of(kind).map(|kind| self.add_item(kind, Some((instance_index, name)))),
            ComponentAlias::InstanceExport {
                kind: ComponentExternalKind::Module,
                ..
            }
            | ComponentAlias::Outer {
                kind: ComponentOuterAliasKind::CoreModule,
                ..
            } => {
                self.add_module_from_elsewhere();
                None
            }
            _ => None,
        };
        self.entries.push(Entry::Alias { alias, item });
    }

    fn add_canonical(&mut self, function: CanonicalFunction) {
        let item = match function {
            CanonicalFunction::Lift { .. } => None,
            _ => Some(self.add_item(Kind::Function, None)),
        };
        self.entries.push(Entry::Canonical { function, item });
    }

    fn add_item(&mut self, kind: Kind, export: Option<(u32, &'a str)>) -> Item {
        let count = &mut self.counts[kind as usize];
        let item = Item {
            kind,
            index: *count,
        };
        *count += 1;
        let behind = export.and_then(|(instance, name)| self.export(instance, name));
        let origin = Origin {
            position: self.entries.len(),
            instance: export.map(|(instance, _)| instance),
            definition: Definition {
                export: behind.and_then(|behind| behind.export),
                item: behind.and_then(|behind| behind.item).or(Some(item)),
            },
        };
        self.origins.insert(item, origin);
        item
    }

    /// Of a component that is valid, every item has one.
    pub(super) fn origin(&self, item: Item) -> Origin<'a> {
        self.origins[&item]
    }

    /// The entry of an instance.
    pub(super) fn position(&self, instance: u32) -> usize {
        self.instance_positions[instance as usize]
    }

    /// The entry of a module.
    pub(super) fn module_position(&self, module: u32) -> usize {
        self.module_positions[module as usize]
    }

    /// What an instance of a module gets for one of the imports of that module.
    pub(super) fn argument(&self, instance: u32, import: &Import<'a>) -> Option<Definition<'a>> {
        let argument = self.arguments[instance as usize].get(import.module)?;
        self.export(*argument, import.name)
    }

    fn export(&self, instance: u32, name: &'a str) -> Option<Definition<'a>> {
        match &self.instances[instance as usize] {
            Instance::Instantiate { .. } => Some(Definition {
                export: Some((instance, name)),
                item: None,
            }),
            Instance::FromExports(_) => {
                let item = self.exports[instance as usize].get(name)?;
                Some(self.origin(*item).definition)
            }
        }
    }
}
