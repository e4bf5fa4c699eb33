//! The component around a merged module, with the numbers that this leaves.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode, ReencodeComponent};
use wasm_encoder::{
    Alias, CanonicalFunctionSection, Component, ComponentAliasSection, InstanceSection, ModuleArg,
    ModuleSection, RawSection,
};
use wasmparser::ComponentAlias;

use super::module::export_name;
use super::parts::{Entry, Item, Kind, Parts};
use super::{Linked, Rest, Result};

/// The number of a section with a module in the binary format of components.
const MODULE: u8 = 1;

/// What an entry refers to.
#[derive(Default)]
pub(super) struct Uses {
    pub(super) items: Vec<Item>,
    pub(super) instances: Vec<u32>,
}

impl Uses {
    pub(super) fn of(parts: &Parts<'_>, entry: &Entry<'_>) -> Result<Self> {
        let mut uses = Self::default();
        if !matches!(entry, Entry::Section { .. } | Entry::Module(_)) {
            let note = Renumber {
                item: |item: Item| {
                    uses.items.push(item);
                    item.index
                },
                instance: |instance| {
                    uses.instances.push(instance);
                    instance
                },
            };
            encode(note, parts, entry, &mut Component::new())?;
        }
        Ok(uses)
    }
}

/// Adds an entry to a component.
fn encode(
    mut renumber: impl ReencodeComponent<Error = Infallible>,
    parts: &Parts<'_>,
    entry: &Entry<'_>,
    component: &mut Component,
) -> Result<()> {
    match entry {
        Entry::Section { id, data } => {
            component.section(&RawSection { id: *id, data });
        }
        Entry::Module(module) => {
            if let Some(data) = parts.modules[*module as usize] {
                component.section(&RawSection { id: MODULE, data });
            }
        }
        Entry::Instance(instance) => {
            let mut section = InstanceSection::new();
            let instance = parts.instances[*instance as usize].clone();
            renumber.parse_instance(&mut section, instance)?;
            component.section(&section);
        }
        Entry::Alias { alias, .. } => {
            let mut section = ComponentAliasSection::new();
            section.alias(renumber.component_alias(alias.clone())?);
            component.section(&section);
        }
        Entry::Canonical { function, .. } => {
            let mut section = CanonicalFunctionSection::new();
            renumber.parse_component_canonical(&mut section, function.clone())?;
            component.section(&section);
        }
    }
    Ok(())
}

impl Linked<'_, '_> {
    /// The component with `module` in place of the members, which have these `modules`.
    pub(super) fn write(
        &self,
        rest: &Rest<'_>,
        outside: &[Item],
        modules: &BTreeSet<u32>,
        module: &wasm_encoder::Module,
    ) -> Result<Vec<u8>> {
        let parts = self.parts;
        // It takes the place of the last one, so that all others keep their numbers.
        let place = modules.last().copied().unwrap_or_default();
        let mut writer = Writer::default();
        for (position, entry) in parts.entries.iter().enumerate() {
            if position == rest.first {
                writer.instantiate(place, outside);
                for (earlier, entry) in parts.entries[..position].iter().enumerate() {
                    if rest.kept[earlier] {
                        writer.alias_of_a_member(self, entry);
                    }
                }
            }
            if !rest.kept[position] {
                continue;
            }
            match entry {
                Entry::Module(number) if *number == place => {
                    writer.component.section(&ModuleSection(module));
                }
                Entry::Module(number) if modules.contains(number) => {
                    let nothing = wasm_encoder::Module::new();
                    writer.component.section(&ModuleSection(&nothing));
                }
                entry if self.member_of(entry).is_some() => {
                    if position > rest.first {
                        writer.alias_of_a_member(self, entry);
                    }
                }
                entry => writer.copy(parts, entry)?,
            }
        }
        Ok(writer.component.finish())
    }

    /// Which member's export an alias is.
    fn member_of(&self, entry: &Entry<'_>) -> Option<usize> {
        match entry {
            Entry::Alias {
                alias: ComponentAlias::CoreInstanceExport { instance_index, .. },
                ..
            } => self.number(*instance_index),
            _ => None,
        }
    }
}

/// The new component as it grows, and the numbers in it.
#[derive(Default)]
struct Writer {
    component: Component,
    items: HashMap<Item, u32>,
    counts: [u32; Kind::COUNT],
    /// By their numbers in the component that was.
    instances: HashMap<u32, u32>,
    instance_count: u32,
    merged: u32,
}

impl Writer {
    fn copy(&mut self, parts: &Parts<'_>, entry: &Entry<'_>) -> Result<()> {
        // What it refers to comes before it, and has its number.
        let renumber = Renumber {
            item: |item| self.items[&item],
            instance: |instance| self.instances[&instance],
        };
        encode(renumber, parts, entry, &mut self.component)?;
        match entry {
            Entry::Instance(instance) => {
                let number = self.next_instance();
                self.instances.insert(*instance, number);
            }
            Entry::Alias {
                item: Some(item), ..
            }
            | Entry::Canonical {
                item: Some(item), ..
            } => self.number(*item),
            _ => {}
        }
        Ok(())
    }

    /// Instantiates the merged module with what it needs.
    fn instantiate(&mut self, module: u32, outside: &[Item]) {
        let exports = outside.iter().enumerate().map(|(number, item)| {
            let kind = item.kind.exported();
            (number.to_string(), kind, self.items[item])
        });
        let exports: Vec<_> = exports.collect();
        let mut section = InstanceSection::new();
        section.export_items(
            exports
                .iter()
                .map(|(name, kind, index)| (name.as_str(), *kind, *index)),
        );
        let arguments = self.next_instance();
        section.instantiate(module, [("", ModuleArg::Instance(arguments))]);
        self.merged = self.next_instance();
        self.component.section(&section);
    }

    /// What was an export of a member is one of the merged instance.
    fn alias_of_a_member(&mut self, linked: &Linked<'_, '_>, entry: &Entry<'_>) {
        if let Some(member) = linked.member_of(entry)
            && let Entry::Alias {
                alias: ComponentAlias::CoreInstanceExport { name, .. },
                item: Some(item),
            } = entry
        {
            let mut section = ComponentAliasSection::new();
            section.alias(Alias::CoreInstanceExport {
                instance: self.merged,
                kind: item.kind.exported(),
                name: &export_name(member, name),
            });
            self.component.section(&section);
            self.number(*item);
        }
    }

    fn number(&mut self, item: Item) {
        let count = &mut self.counts[item.kind as usize];
        self.items.insert(item, *count);
        *count += 1;
    }

    fn next_instance(&mut self) -> u32 {
        self.instance_count += 1;
        self.instance_count - 1
    }
}

type Renumbered<T> = std::result::Result<T, Error<Infallible>>;

/// Gives each item and each instance that an entry refers to a number.
struct Renumber<I, N> {
    item: I,
    instance: N,
}

impl<I: FnMut(Item) -> u32, N> Renumber<I, N> {
    fn number(&mut self, kind: Kind, index: u32) -> u32 {
        (self.item)(Item { kind, index })
    }
}

impl<I: FnMut(Item) -> u32, N> Reencode for Renumber<I, N> {
    type Error = Infallible;

    fn function_index(&mut self, index: u32) -> Renumbered<u32> {
        Ok(self.number(Kind::Function, index))
    }

    fn table_index(&mut self, index: u32) -> Renumbered<u32> {
        Ok(self.number(Kind::Table, index))
    }

    fn memory_index(&mut self, index: u32) -> Renumbered<u32> {
        Ok(self.number(Kind::Memory, index))
    }

    fn global_index(&mut self, index: u32) -> Renumbered<u32> {
        Ok(self.number(Kind::Global, index))
    }
}

impl<I: FnMut(Item) -> u32, N: FnMut(u32) -> u32> ReencodeComponent for Renumber<I, N> {
    fn instance_index(&mut self, index: u32) -> u32 {
        (self.instance)(index)
    }
}
