//! One parameter of a tool: its name, its type, and what stands in its `#[param(…)]`.

use crate::doc;
use syn::ext::IdentExt as _;
use syn::parse::ParseStream;
use syn::spanned::Spanned as _;
use syn::{
    Attribute, Error, Expr, ExprLit, ExprRange, FnArg, GenericArgument, Ident, Lit, Pat, PatType,
    PathArguments, RangeLimits, Result, Token, Type, parse_quote,
};

/// What the function takes at one place.
pub(crate) enum Parameter {
    /// The context of the call, by value or by reference. Agents do not see it.
    Context {
        by_reference: bool,
        span: proc_macro2::Span,
    },
    /// An argument that the agent gives.
    Argument(Argument),
}

/// An argument that the agent gives.
pub(crate) struct Argument {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) presence: Presence,
    pub(crate) range: Bounds,
    pub(crate) length: Bounds,
}

/// Whether an argument may be left out, and what the function gets then.
pub(crate) enum Presence {
    Required(Box<Type>),
    /// The type within the `Option`.
    Optional(Box<Type>),
    /// The type, and the value.
    Default(Box<Type>, Box<Expr>),
}

/// Inclusive bounds, each of which may be missing.
#[derive(Default)]
pub(crate) struct Bounds {
    pub(crate) lower: Option<Box<Expr>>,
    pub(crate) upper: Option<Box<Expr>>,
}

impl Parameter {
    pub(crate) fn read(argument: &FnArg) -> Result<Self> {
        let FnArg::Typed(argument) = argument else {
            return Err(Error::new(
                argument.span(),
                "a tool is a free function: it has no `self`",
            ));
        };
        if let Some(by_reference) = context_type(&argument.ty)? {
            return Ok(Self::Context {
                by_reference,
                span: argument.ty.span(),
            });
        }
        Argument::read(argument).map(Self::Argument)
    }
}

impl Argument {
    fn read(argument: &PatType) -> Result<Self> {
        let name = name(&argument.pat)?;
        check_type(&argument.ty)?;
        let options = Options::read(&argument.attrs)?;
        let presence = match (option_type(&argument.ty), options.default) {
            (Some(_), Some(_)) => {
                let message =
                    "a parameter with a default is never missing: write its type without `Option`";
                return Err(Error::new(argument.ty.span(), message));
            }
            (Some(inner), None) => Presence::Optional(Box::new(inner.clone())),
            (None, Some(default)) => Presence::Default(argument.ty.clone(), Box::new(default)),
            (None, None) => Presence::Required(argument.ty.clone()),
        };
        Ok(Self {
            name,
            description: doc::description(&argument.attrs),
            presence,
            range: options.range.unwrap_or_default(),
            length: options.length.unwrap_or_default(),
        })
    }
}

/// Whether the attribute is ours, and therefore not the compiler's.
pub(crate) fn is_ours(attribute: &Attribute) -> bool {
    doc::is_doc(attribute) || attribute.path().is_ident("param")
}

#[derive(Default)]
struct Options {
    default: Option<Expr>,
    range: Option<Bounds>,
    length: Option<Bounds>,
}

impl Options {
    fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut options = Self::default();
        for attribute in attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident("param"))
        {
            attribute.parse_args_with(|input: ParseStream<'_>| options.take_all(input))?;
        }
        Ok(options)
    }

    fn take_all(&mut self, input: ParseStream<'_>) -> Result<()> {
        while !input.is_empty() {
            let key = input.call(Ident::parse_any)?;
            let known = match key.to_string().as_str() {
                "default" => self.default.replace(default(input)?).is_some(),
                "range" => self.range.replace(bounds(input)?).is_some(),
                "length" => self.length.replace(bounds(input)?).is_some(),
                other => {
                    let message = format!(
                        "there is no option `{other}`; the options are `default`, `default = …`, `range = 1..=100` \
                         and `length = 1..=64`"
                    );
                    return Err(Error::new(key.span(), message));
                }
            };
            if known {
                return Err(Error::new(key.span(), format!("`{key}` is given twice")));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(())
    }
}

fn default(input: ParseStream<'_>) -> Result<Expr> {
    if !input.peek(Token![=]) {
        return Ok(parse_quote!(::core::default::Default::default()));
    }
    input.parse::<Token![=]>()?;
    Ok(match input.parse()? {
        // Texts are written as `"…"`, but owned.
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => parse_quote!(::std::string::String::from(#text)),
        value => value,
    })
}

fn bounds(input: ParseStream<'_>) -> Result<Bounds> {
    input.parse::<Token![=]>()?;
    let expression: Expr = input.parse()?;
    let Expr::Range(ExprRange {
        start, end, limits, ..
    }) = expression
    else {
        return Err(Error::new(
            expression.span(),
            "write bounds as a range, such as `1..=100`, `1..` or `..=100`",
        ));
    };
    if let (RangeLimits::HalfOpen(dots), Some(_)) = (limits, &end) {
        return Err(Error::new(
            dots.span(),
            "write `..=`: both bounds belong to the range",
        ));
    }
    Ok(Bounds {
        lower: start,
        upper: end,
    })
}

fn name(pattern: &Pat) -> Result<String> {
    match pattern {
        Pat::Ident(pattern) if pattern.by_ref.is_none() && pattern.subpat.is_none() => {
            Ok(pattern.ident.unraw().to_string())
        }
        _ => Err(Error::new(
            pattern.span(),
            "a parameter of a tool is a plain name, because agents call it by that name",
        )),
    }
}

/// Whether the type is the call's context: `Some(true)` for `&Context`, `Some(false)` for `Context`.
fn context_type(ty: &Type) -> Result<Option<bool>> {
    match ty {
        Type::Path(_) => Ok(last_segment(ty)
            .is_some_and(|ident| ident == "Context")
            .then_some(false)),
        Type::Reference(reference)
            if last_segment(&reference.elem).is_some_and(|ident| ident == "Context") =>
        {
            match reference.mutability {
                None => Ok(Some(true)),
                Some(_) => Err(Error::new(
                    ty.span(),
                    "the context cannot be changed: write `&Context`",
                )),
            }
        }
        _ => Ok(None),
    }
}

fn check_type(ty: &Type) -> Result<()> {
    let message = match ty {
        Type::Reference(reference)
            if last_segment(&reference.elem).is_some_and(|ident| ident == "str") =>
        {
            "a tool owns its arguments: write `String`"
        }
        Type::Reference(_) => "a tool owns its arguments: write the type without `&`",
        Type::ImplTrait(_) => {
            "a parameter of a tool needs a type of its own, because its JSON Schema comes from it"
        }
        _ => return Ok(()),
    };
    Err(Error::new(ty.span(), message))
}

/// The `T` of an `Option<T>`, as it is written.
pub(crate) fn option_type(ty: &Type) -> Option<&Type> {
    generic(ty, "Option")
}

/// The first type argument of a type that is written `…::name<T, …>`.
pub(crate) fn generic<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    let Type::Path(path) = ty else { return None };
    let segment = path
        .path
        .segments
        .last()
        .filter(|segment| segment.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// The last word of a path: `Context` of `holster_sdk::Context`.
pub(crate) fn last_segment(ty: &Type) -> Option<&Ident> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|segment| &segment.ident),
        _ => None,
    }
}
