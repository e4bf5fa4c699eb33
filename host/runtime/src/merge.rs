//! Modules that were linked inside a component, merged into one before they are compiled.
//!
//! CPython comes as a dozen modules that share a memory and a table of functions. The table belongs to one of them and is filled
//! by the others, some five thousand elements, each time that the component is instantiated: nearly half of what a small call costs.
//! What one module both owns and fills, wasmtime fills when it is needed. So [`merged`] gives a component that does the same with
//! one module in place of those: the numbers of functions, globals and the like are other ones, nothing else.
//!
//! What it cannot merge without a doubt it leaves as it is: modules that run code when they are instantiated, or that are needed
//! before all of them can be there.

mod component;
mod module;
mod parts;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use wasmparser::{ComponentAlias, Instance, Validator, WasmFeatures};

use self::component::Uses;
use self::module::{Member, Outline, Source};
use self::parts::{Definition, Entry, Item, Kind, Parts};

/// The form of what comes of it: with another one, components are compiled anew.
pub(crate) const VERSION: u32 = 1;

/// Fewer elements are filled in no time.
const WORTHWHILE: usize = 256;

/// A component of more entries, or with more imports in its modules, is left as it is. CPython's has 2,000 of each.
const MOST: usize = 20_000;

type Result<T> = std::result::Result<T, wasm_encoder::reencode::Error>;

/// A valid component with its linked modules merged. `None` if there is nothing to merge.
pub(crate) fn merged(component: &[u8]) -> Option<Vec<u8>> {
    let merged = Parts::read(component)
        .map_err(Into::into)
        .and_then(|parts| Linked::find(&parts)?.map_or(Ok(None), |linked| linked.merge()))
        .unwrap_or_else(|error| {
            tracing::warn!("the modules of a component are not merged: {error}");
            None
        })?;
    // One module has less room than many, for functions for example.
    let mut validator = Validator::new_with_features(WasmFeatures::default());
    match validator.validate_all(&merged) {
        Ok(_) => Some(merged),
        Err(error) => {
            tracing::warn!("the modules of a component do not fit into one: {error}");
            None
        }
    }
}

/// A component, and its instances that are to become one.
struct Linked<'p, 'a> {
    parts: &'p Parts<'a>,
    outlines: Vec<Option<Outline<'a>>>,
    members: BTreeSet<u32>,
}

/// What is left of a component.
struct Rest<'a> {
    /// Of its entries, those that are still needed.
    kept: Vec<bool>,
    /// The entry that is the first to need the merged instance.
    first: usize,
    /// What is needed of the merged instance: a member's number, and the name of its export.
    wanted: BTreeSet<(usize, &'a str)>,
}

impl<'p, 'a> Linked<'p, 'a> {
    /// The instances that share a table which they fill.
    fn find(parts: &'p Parts<'a>) -> Result<Option<Self>> {
        let outlines: Vec<_> = parts
            .modules
            .iter()
            .map(|module| module.map(Outline::read).transpose())
            .collect::<std::result::Result<_, wasmparser::Error>>()?;
        let imports = outlines.iter().flatten();
        let imports: usize = imports
            .map(|outline: &Outline<'_>| outline.imports.len())
            .sum();
        if parts.entries.len().max(imports) > MOST {
            return Ok(None);
        }
        let mut linked = Self {
            parts,
            outlines,
            members: BTreeSet::new(),
        };
        let Some(members) = linked.share_a_table() else {
            return Ok(None);
        };
        linked.members = members;
        linked.take_in_what_lies_between();
        Ok(linked.can_be_merged().then_some(linked))
    }

    /// The outline of the module of an instance.
    fn outline(&self, instance: u32) -> Option<&Outline<'a>> {
        match &self.parts.instances[instance as usize] {
            Instance::Instantiate { module_index, .. } => {
                self.outlines[*module_index as usize].as_ref()
            }
            Instance::FromExports(_) => None,
        }
    }

    fn instances(&self) -> impl Iterator<Item = u32> {
        0..u32::try_from(self.parts.instances.len()).expect("a component counts in 32 bits")
    }

    /// The instance that owns the table with the most elements of others, and these others.
    fn share_a_table(&self) -> Option<BTreeSet<u32>> {
        let mut shared = BTreeMap::<_, (usize, BTreeSet<u32>)>::new();
        for instance in self.instances() {
            let Some(outline) = self.outline(instance) else {
                continue;
            };
            for (import, elements) in &outline.fills {
                let definition = self
                    .parts
                    .argument(instance, &outline.imports[*import])
                    .and_then(|definition| definition.export);
                if let Some((owner, table)) = definition {
                    let (sum, members) = shared.entry((owner, table)).or_default();
                    *sum += elements;
                    members.extend([owner, instance]);
                }
            }
        }
        let (elements, members) = shared.into_values().max_by_key(|(elements, _)| *elements)?;
        (elements >= WORTHWHILE).then_some(members)
    }

    /// A module that needs a member, and that a member needs, becomes one as well.
    fn take_in_what_lies_between(&mut self) {
        loop {
            let last = self.last_needed();
            let between = self.instances().find(|instance| {
                !self.members.contains(instance)
                    && self.parts.position(*instance) <= last
                    && self.needed(*instance).any(|needed| self.is_member(&needed))
            });
            match between {
                Some(instance) => self.members.insert(instance),
                None => return,
            };
        }
    }

    /// What the module of an instance imports.
    fn needed(&self, instance: u32) -> impl Iterator<Item = Definition<'a>> {
        let imports = self.outline(instance).map(|outline| outline.imports.iter());
        let imports = imports.into_iter().flatten();
        imports.filter_map(move |import| self.parts.argument(instance, import))
    }

    fn is_member(&self, definition: &Definition<'_>) -> bool {
        let owner = definition.export.map(|(owner, _)| owner);
        owner.is_some_and(|owner| self.members.contains(&owner))
    }

    /// The entry after which everything is there that the members need of others.
    fn last_needed(&self) -> usize {
        let needed = self.members.iter().flat_map(|member| self.needed(*member));
        let positions =
            needed
                .filter(|needed| !self.is_member(needed))
                .filter_map(|needed| match (needed.item, needed.export) {
                    (Some(item), _) => Some(self.parts.origin(item).position),
                    (None, export) => export.map(|(owner, _)| self.parts.position(owner)),
                });
        positions.max().unwrap_or_default()
    }

    /// Where each import of each member comes from. `None` if that cannot be said.
    fn sources(&self) -> Option<Vec<Vec<Source<'a>>>> {
        let source = |instance, import| {
            let definition = self.parts.argument(instance, import)?;
            match definition.export {
                Some((owner, name)) if self.members.contains(&owner) => Some(Source::Member {
                    member: self.number(owner)?,
                    name,
                }),
                _ => definition.item.map(Source::Outside),
            }
        };
        let of = |instance: &u32| {
            let imports = self.outline(*instance)?.imports.iter();
            imports.map(|import| source(*instance, import)).collect()
        };
        self.members.iter().map(of).collect()
    }

    /// Which of the members an instance is.
    fn number(&self, instance: u32) -> Option<usize> {
        self.members.iter().position(|member| *member == instance)
    }

    /// Each member is the only instance of a module that is given here, and does nothing when it is instantiated. Together they have
    /// one memory and one table at most, which is what the engine gives a module.
    fn can_be_merged(&self) -> bool {
        let modules = self.modules();
        let instantiated = |module: u32| {
            let of = |instance: &&Instance<'_>| matches!(instance, Instance::Instantiate { module_index, .. } if *module_index == module);
            self.parts.instances.iter().filter(of).count()
        };
        let outlines = || {
            self.members
                .iter()
                .filter_map(|member| self.outline(*member))
        };
        let defined = |kind| outlines().map(|outline| outline.defined(kind)).sum::<u32>();
        outlines().all(Outline::is_plain)
            && defined(Kind::Memory) <= 1
            && defined(Kind::Table) <= 1
            && modules.into_iter().all(|module| instantiated(module) == 1)
    }

    /// The modules of the members.
    fn modules(&self) -> BTreeSet<u32> {
        let module = |member: &u32| match &self.parts.instances[*member as usize] {
            Instance::Instantiate { module_index, .. } => Some(*module_index),
            Instance::FromExports(_) => None,
        };
        self.members.iter().filter_map(module).collect()
    }

    fn merge(&self) -> Result<Option<Vec<u8>>> {
        let Some(sources) = self.sources() else {
            return Ok(None);
        };
        let outside: Vec<Item> = sources
            .iter()
            .flatten()
            .filter_map(|source| match source {
                Source::Outside(item) => Some(*item),
                Source::Member { .. } => None,
            })
            .collect();
        let Some(rest) = self.rest(&outside)? else {
            return Ok(None);
        };
        let modules = self.modules();
        let Some(place) = modules.last().copied() else {
            return Ok(None);
        };
        if rest.wanted.is_empty()
            || rest.first <= self.last_needed()
            || rest.first <= self.parts.module_position(place)
        {
            return Ok(None);
        }
        let members: Vec<_> = self
            .members
            .iter()
            .zip(sources)
            .filter_map(|(instance, sources)| {
                Some(Member {
                    outline: self.outline(*instance)?,
                    sources,
                })
            })
            .collect();
        let module = module::merged(&members, &rest.wanted)?;
        self.write(&rest, &outside, &modules, &module).map(Some)
    }

    /// What is left without the members. `None` if something needs one of them for another reason than its exports.
    fn rest(&self, outside: &[Item]) -> Result<Option<Rest<'a>>> {
        let entries = &self.parts.entries;
        let mut items: HashSet<Item> = outside.iter().copied().collect();
        let mut instances = HashSet::new();
        let mut rest = Rest {
            kept: vec![false; entries.len()],
            first: entries.len(),
            wanted: BTreeSet::new(),
        };
        for (position, entry) in entries.iter().enumerate().rev() {
            if let Entry::Alias {
                alias:
                    ComponentAlias::CoreInstanceExport {
                        instance_index,
                        name,
                        ..
                    },
                item: Some(item),
            } = entry
            {
                if !items.contains(item) {
                    continue;
                }
                rest.kept[position] = true;
                match self.number(*instance_index) {
                    Some(member) => rest.wanted.insert((member, *name)),
                    None => instances.insert(*instance_index),
                };
                continue;
            }
            if let Entry::Instance(instance) = entry {
                let is_needed = match &self.parts.instances[*instance as usize] {
                    Instance::Instantiate { .. } => !self.members.contains(instance),
                    Instance::FromExports(_) => instances.contains(instance),
                };
                if !is_needed {
                    continue;
                }
            }
            rest.kept[position] = true;
            let uses = Uses::of(self.parts, entry)?;
            if uses
                .instances
                .iter()
                .any(|instance| self.members.contains(instance))
            {
                return Ok(None);
            }
            if uses.items.iter().any(|item| self.is_of_a_member(*item)) {
                rest.first = position;
            }
            items.extend(uses.items);
            instances.extend(uses.instances);
        }
        Ok(Some(rest))
    }

    fn is_of_a_member(&self, item: Item) -> bool {
        let instance = self.parts.origin(item).instance;
        instance.is_some_and(|instance| self.members.contains(&instance))
    }
}

#[cfg(test)]
mod tests;
