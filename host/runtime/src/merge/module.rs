//! One module of several that were linked.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, Elements, ExportSection,
    FunctionSection, GlobalSection, ImportSection, Instruction, MemorySection, Module,
    TableSection, TypeSection,
};
use wasmparser::{ElementItems, ElementKind, Operator, Parser, Payload, TypeRef};

use super::Result;
use super::parts::{Import, Item, Kind};

/// A module, as far as others see it.
pub(super) struct Outline<'a> {
    bytes: &'a [u8],
    pub(super) imports: Vec<Import<'a>>,
    exports: HashMap<&'a str, (Kind, u32)>,
    /// The tables of others that it fills: which import each is, and with how many elements.
    pub(super) fills: Vec<(usize, usize)>,
    /// How many of each it defines itself.
    defined: [u32; Kind::COUNT],
    types: u32,
    elements: u32,
    data: u32,
    /// It has tags, or runs code when it is instantiated.
    is_special: bool,
}

impl<'a> Outline<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> wasmparser::Result<Self> {
        let mut outline = Self {
            bytes,
            imports: Vec::new(),
            exports: HashMap::new(),
            fills: Vec::new(),
            defined: [0; Kind::COUNT],
            types: 0,
            elements: 0,
            data: 0,
            is_special: false,
        };
        for payload in Parser::new(0).parse_all(bytes) {
            outline.add(payload?)?;
        }
        Ok(outline)
    }

    fn add(&mut self, payload: Payload<'a>) -> wasmparser::Result<()> {
        let defined = &mut self.defined;
        match payload {
            Payload::TypeSection(section) => {
                for group in section {
                    self.types += number(group?.types().len());
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    let kind = match import.ty {
                        TypeRef::Func(_) | TypeRef::FuncExact(_) => Kind::Function,
                        TypeRef::Table(_) => Kind::Table,
                        TypeRef::Memory(_) => Kind::Memory,
                        TypeRef::Global(_) => Kind::Global,
                        TypeRef::Tag(_) => {
                            self.is_special = true;
                            continue;
                        }
                    };
                    let (module, name) = (import.module, import.name);
                    self.imports.push(Import { module, name, kind });
                }
            }
            Payload::FunctionSection(section) => defined[Kind::Function as usize] = section.count(),
            Payload::TableSection(section) => defined[Kind::Table as usize] = section.count(),
            Payload::MemorySection(section) => defined[Kind::Memory as usize] = section.count(),
            Payload::GlobalSection(section) => defined[Kind::Global as usize] = section.count(),
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if let Some(kind) = Kind::of(export.kind) {
                        self.exports.insert(export.name, (kind, export.index));
                    }
                }
            }
            Payload::ElementSection(section) => {
                self.elements = section.count();
                for element in section {
                    let element = element?;
                    let count = match element.items {
                        ElementItems::Functions(functions) => functions.count(),
                        ElementItems::Expressions(_, expressions) => expressions.count(),
                    };
                    if let ElementKind::Active { table_index, .. } = element.kind
                        && let Some(import) = self.import(Kind::Table, table_index.unwrap_or(0))
                    {
                        self.fills.push((import, count as usize));
                    }
                }
            }
            Payload::DataSection(section) => self.data = section.count(),
            Payload::StartSection { .. } | Payload::TagSection(_) => self.is_special = true,
            _ => {}
        }
        Ok(())
    }

    /// Which import has this number among those of its kind.
    fn import(&self, kind: Kind, index: u32) -> Option<usize> {
        let imports = self.imports.iter().enumerate();
        let mut of_kind = imports.filter(|(_, import)| import.kind == kind);
        of_kind.nth(index as usize).map(|(import, _)| import)
    }

    pub(super) fn defined(&self, kind: Kind) -> u32 {
        self.defined[kind as usize]
    }

    /// Whether it is nothing but what it imports, defines and exports.
    pub(super) fn is_plain(&self) -> bool {
        !self.is_special
    }
}

/// One of the modules that become one.
pub(super) struct Member<'p, 'a> {
    pub(super) outline: &'p Outline<'a>,
    /// Where its imports come from.
    pub(super) sources: Vec<Source<'a>>,
}

/// Where an import comes from.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// From a member before it, by its number among them.
    Member { member: usize, name: &'a str },
    /// From what the component has outside of them.
    Outside(Item),
}

/// The module that all members make together. Its imports are those from outside in their order: their module's name is empty,
/// and each has its number for a name. It exports what is `wanted`.
pub(super) fn merged(
    members: &[Member<'_, '_>],
    wanted: &BTreeSet<(usize, &str)>,
) -> Result<Module> {
    let numbers = numbers(members);
    let mut merging = Merging::default();
    for (member, numbers) in members.iter().zip(&numbers) {
        merging.add(member, numbers)?;
    }
    let mut exports = ExportSection::new();
    for (member, name) in wanted {
        let (kind, index) = members[*member].outline.exports[name];
        let index = numbers[*member].of(kind, index);
        exports.export(&export_name(*member, name), kind.exported(), index);
    }
    Ok(merging.finish(&exports))
}

/// The name under which the merged module exports what a member exports.
pub(super) fn export_name(member: usize, name: &str) -> String {
    format!("{member}/{name}")
}

/// The numbers that what is in a member has in the merged module.
struct Numbers {
    items: [Vec<u32>; Kind::COUNT],
    types: u32,
    elements: u32,
    data: u32,
}

impl Numbers {
    fn of(&self, kind: Kind, index: u32) -> u32 {
        self.items[kind as usize][index as usize]
    }
}

fn numbers(members: &[Member<'_, '_>]) -> Vec<Numbers> {
    let mut all = Vec::<Numbers>::with_capacity(members.len());
    // What is imported has the first numbers, of all members together.
    let mut imported = [0; Kind::COUNT];
    let mut defined = [0; Kind::COUNT];
    for source in members.iter().flat_map(|member| &member.sources) {
        if let Source::Outside(item) = source {
            defined[item.kind as usize] += 1;
        }
    }
    let (mut types, mut elements, mut data) = (0, 0, 0);
    for Member { outline, sources } in members {
        let mut items: [Vec<u32>; Kind::COUNT] = Default::default();
        for (import, source) in outline.imports.iter().zip(sources) {
            let number = match source {
                Source::Member { member, name } => {
                    let (kind, index) = members[*member].outline.exports[name];
                    all[*member].of(kind, index)
                }
                Source::Outside(item) => next(&mut imported[item.kind as usize]),
            };
            items[import.kind as usize].push(number);
        }
        for (kind, items) in items.iter_mut().enumerate() {
            items.extend((0..outline.defined[kind]).map(|_| next(&mut defined[kind])));
        }
        all.push(Numbers {
            items,
            types,
            elements,
            data,
        });
        types += outline.types;
        elements += outline.elements;
        data += outline.data;
    }
    all
}

fn next(count: &mut u32) -> u32 {
    *count += 1;
    *count - 1
}

fn number(count: usize) -> u32 {
    u32::try_from(count).expect("a module counts in 32 bits")
}

/// The sections of the merged module, as they grow.
#[derive(Default)]
struct Merging {
    types: TypeSection,
    imports: ImportSection,
    functions: FunctionSection,
    tables: TableSection,
    memories: MemorySection,
    globals: GlobalSection,
    elements: ElementSection,
    code: CodeSection,
    data: DataSection,
    /// The globals that never change, with their value: where a table is filled has to be a constant to be filled when needed.
    constants: HashMap<u32, i32>,
    /// The functions that code refers to other than by a call: a module has to declare them.
    referred: BTreeSet<u32>,
}

impl Merging {
    fn add(&mut self, member: &Member<'_, '_>, numbers: &Numbers) -> Result<()> {
        let mut renumber = Renumber {
            numbers,
            constants: &self.constants,
            referred: &mut self.referred,
        };
        let mut constants = Vec::new();
        let mut functions = 0;
        for payload in Parser::new(0).parse_all(member.outline.bytes) {
            match payload? {
                Payload::TypeSection(section) => {
                    renumber.parse_type_section(&mut self.types, section)?;
                }
                Payload::ImportSection(section) => {
                    for (import, source) in section.into_imports().zip(&member.sources) {
                        if matches!(source, Source::Outside(_)) {
                            let kind = renumber.entity_type(import?.ty)?;
                            let name = self.imports.len().to_string();
                            self.imports.import("", &name, kind);
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    renumber.parse_function_section(&mut self.functions, section)?;
                }
                Payload::TableSection(section) => {
                    renumber.parse_table_section(&mut self.tables, section)?;
                }
                Payload::MemorySection(section) => {
                    renumber.parse_memory_section(&mut self.memories, section)?;
                }
                Payload::GlobalSection(section) => {
                    let imported =
                        numbers.items[Kind::Global as usize].len() - section.count() as usize;
                    for (defined, global) in section.into_iter().enumerate() {
                        let global = global?;
                        if let Some(value) = constant(&global) {
                            constants.push((
                                numbers.items[Kind::Global as usize][imported + defined],
                                value,
                            ));
                        }
                        renumber.parse_global(&mut self.globals, global)?;
                    }
                }
                Payload::ElementSection(section) => {
                    renumber.parse_element_section(&mut self.elements, section)?;
                }
                Payload::CodeSectionEntry(body) => {
                    renumber.parse_function_body(&mut self.code, body)?;
                    functions += 1;
                }
                Payload::DataSection(section) => {
                    renumber.parse_data_section(&mut self.data, section)?;
                }
                _ => {}
            }
        }
        debug_assert_eq!(functions, member.outline.defined[Kind::Function as usize]);
        self.constants.extend(constants);
        Ok(())
    }

    fn finish(mut self, exports: &ExportSection) -> Module {
        if !self.referred.is_empty() {
            let referred: Vec<_> = self.referred.into_iter().collect();
            self.elements.declared(Elements::Functions(referred.into()));
        }
        let count = self.data.len();
        let mut module = Module::new();
        module
            .section(&self.types)
            .section(&self.imports)
            .section(&self.functions)
            .section(&self.tables)
            .section(&self.memories)
            .section(&self.globals)
            .section(exports)
            .section(&self.elements)
            .section(&DataCountSection { count })
            .section(&self.code)
            .section(&self.data);
        module
    }
}

/// The value of a global, if it always has the same.
fn constant(global: &wasmparser::Global<'_>) -> Option<i32> {
    let mut operators = global.init_expr.get_operators_reader();
    match (operators.read().ok()?, operators.is_end_then_eof()) {
        (Operator::I32Const { value }, true) if !global.ty.mutable => Some(value),
        _ => None,
    }
}

/// Gives what is in a member the numbers of the merged module.
struct Renumber<'m> {
    numbers: &'m Numbers,
    constants: &'m HashMap<u32, i32>,
    referred: &'m mut BTreeSet<u32>,
}

type Renumbered<T> = std::result::Result<T, Error<Infallible>>;

impl Reencode for Renumber<'_> {
    type Error = Infallible;

    fn type_index(&mut self, index: u32) -> Renumbered<u32> {
        Ok(self.numbers.types + index)
    }

    fn function_index(&mut self, index: u32) -> Renumbered<u32> {
        Ok(self.numbers.of(Kind::Function, index))
    }

    fn table_index(&mut self, index: u32) -> Renumbered<u32> {
        Ok(self.numbers.of(Kind::Table, index))
    }

    fn memory_index(&mut self, index: u32) -> Renumbered<u32> {
        Ok(self.numbers.of(Kind::Memory, index))
    }

    fn global_index(&mut self, index: u32) -> Renumbered<u32> {
        Ok(self.numbers.of(Kind::Global, index))
    }

    fn element_index(&mut self, index: u32) -> Renumbered<u32> {
        Ok(self.numbers.elements + index)
    }

    fn data_index(&mut self, index: u32) -> Renumbered<u32> {
        Ok(self.numbers.data + index)
    }

    fn instruction<'a>(&mut self, operator: Operator<'a>) -> Renumbered<Instruction<'a>> {
        let instruction = utils::instruction(self, operator)?;
        if let Instruction::RefFunc(function) = instruction {
            self.referred.insert(function);
        }
        Ok(instruction)
    }

    fn const_expr(&mut self, expression: wasmparser::ConstExpr<'_>) -> Renumbered<ConstExpr> {
        let mut operators = expression.get_operators_reader();
        if let (Operator::GlobalGet { global_index }, true) =
            (operators.read()?, operators.is_end_then_eof())
            && let Some(value) = self.constants.get(&self.global_index(global_index)?)
        {
            return Ok(ConstExpr::i32_const(*value));
        }
        utils::const_expr(self, expression)
    }
}
