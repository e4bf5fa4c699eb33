//! The function that becomes a tool: what it must look like, and what it gives back.

use crate::doc;
use crate::errors::Errors;
use crate::parameter::{self, Parameter};
use proc_macro2::TokenStream;
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Error, FnArg, Ident, ItemFn, Result, ReturnType, Safety, Signature, Type, Visibility};

/// A function that can be a tool.
pub(crate) struct Function {
    /// The function as it was written, without our attributes on its parameters.
    pub(crate) item: ItemFn,
    pub(crate) description: String,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) answer: Answer,
}

/// What the function gives back.
pub(crate) struct Answer {
    /// Whether it can fail.
    pub(crate) fallible: bool,
    pub(crate) content: Content,
}

/// How a result becomes content. Told from the type as it is written, because it decides what is generated.
pub(crate) enum Content {
    Nothing,
    Text,
    /// An `Output`, with whatever content.
    Explicit,
    /// A value with a schema; wrapped as `{"result": …}` always, or only where it is not an object.
    Typed {
        ty: Box<Type>,
        always_wrapped: bool,
    },
}

impl Function {
    pub(crate) fn read(item: TokenStream) -> Result<Self> {
        let span = item.span();
        let mut item: ItemFn = syn::parse2(item)
            .map_err(|error| with_hint(&error, span, "`#[tool]` stands on a function"))?;
        let mut errors = Errors::default();
        check_signature(&item.sig, &mut errors);
        let description = errors.keep(description(&item));
        let parameters = item
            .sig
            .inputs
            .iter()
            .filter_map(|input| errors.keep(Parameter::read(input)))
            .collect::<Vec<_>>();
        check_contexts(&parameters, &mut errors);
        let answer = errors.keep(answer(&item.sig.output));
        errors.finish()?;
        strip_parameter_attributes(&mut item);
        Ok(Self {
            item,
            description: description.unwrap_or_default(),
            parameters,
            answer: answer.unwrap_or(Answer {
                fallible: false,
                content: Content::Nothing,
            }),
        })
    }

    pub(crate) fn ident(&self) -> &Ident {
        &self.item.sig.ident
    }

    pub(crate) fn visibility(&self) -> &Visibility {
        &self.item.vis
    }

    /// The name of the tool, where the author gave no other.
    pub(crate) fn name(&self) -> String {
        self.ident().unraw().to_string()
    }
}

/// Takes from the parameters what only `#[tool]` understands.
pub(crate) fn strip_parameter_attributes(item: &mut ItemFn) {
    for input in &mut item.sig.inputs {
        let attributes = match input {
            FnArg::Typed(argument) => &mut argument.attrs,
            FnArg::Receiver(receiver) => &mut receiver.attrs,
        };
        attributes.retain(|attribute| !parameter::is_ours(attribute));
    }
}

fn check_signature(signature: &Signature, errors: &mut Errors) {
    if let Some(asyncness) = &signature.asyncness {
        let message = "a tool is a plain function: a call has its sandbox to itself, so it may simply wait \
                       (`holster_sdk::http` does); remove `async`";
        errors.push(Error::new(asyncness.span(), message));
    }
    if let Safety::Unsafe(unsafety) = &signature.safety {
        errors.push(Error::new(
            unsafety.span(),
            "a tool is a safe function; remove `unsafe`",
        ));
    }
    if let Some(abi) = &signature.abi {
        errors.push(Error::new(
            abi.span(),
            "a tool is a plain function; remove `extern`",
        ));
    }
    if !signature.generics.params.is_empty() {
        let message = "a tool has no type parameters and no lifetimes, because its JSON Schema comes from its types";
        errors.push(Error::new(signature.generics.span(), message));
    }
}

fn description(item: &ItemFn) -> Result<String> {
    let description = doc::description(&item.attrs).ok_or_else(|| {
        let message = "a tool needs a description for the model that chooses it: write a doc comment above it";
        Error::new(item.sig.ident.span(), message)
    })?;
    if description.len() > 8192 {
        let message = "a description is at most 8,192 bytes long; what programmers need can follow under a heading";
        return Err(Error::new(item.sig.ident.span(), message));
    }
    Ok(description)
}

fn check_contexts(parameters: &[Parameter], errors: &mut Errors) {
    let spans = parameters.iter().filter_map(|parameter| match parameter {
        Parameter::Context { span, .. } => Some(*span),
        Parameter::Argument(_) => None,
    });
    for span in spans.skip(1) {
        errors.push(Error::new(
            span,
            "a call has one context; remove this second one",
        ));
    }
}

fn answer(output: &ReturnType) -> Result<Answer> {
    let ReturnType::Type(_, ty) = output else {
        return Ok(Answer {
            fallible: false,
            content: Content::Nothing,
        });
    };
    match parameter::generic(ty, "Result") {
        Some(inner) => Ok(Answer {
            fallible: true,
            content: content(inner)?,
        }),
        None => Ok(Answer {
            fallible: false,
            content: content(ty)?,
        }),
    }
}

fn content(ty: &Type) -> Result<Content> {
    match ty {
        Type::Tuple(tuple) if tuple.elems.is_empty() => Ok(Content::Nothing),
        Type::Reference(reference)
            if parameter::last_segment(&reference.elem).is_some_and(|word| word == "str") =>
        {
            Ok(Content::Text)
        }
        Type::ImplTrait(_) => Err(Error::new(
            ty.span(),
            "a tool names the type that it returns, because its JSON Schema comes from it",
        )),
        Type::Never(_) => Err(Error::new(ty.span(), "a tool has to return")),
        _ => Ok(
            match parameter::last_segment(ty).map(Ident::to_string).as_deref() {
                Some("String") => Content::Text,
                Some("Output") => Content::Explicit,
                word => Content::Typed {
                    ty: Box::new(ty.clone()),
                    always_wrapped: matches!(word, Some("Option" | "Value")),
                },
            },
        ),
    }
}

fn with_hint(error: &Error, span: proc_macro2::Span, hint: &str) -> Error {
    Error::new(span, format!("{hint} ({error})"))
}
