//! Writes the implementation of `holster_sdk::Tool`.
//!
//! The tool is a type without values that has the function's name. A function and a type may share one, so that
//! wherever an author imports or names the function, the tool is at hand too.

use crate::function::{Content, Function};
use crate::options::ToolOptions;
use crate::parameter::{Argument, Bounds, Parameter, Presence};
use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Expr, Ident};

/// The function, and the tool beside it.
pub(crate) fn tool(options: &ToolOptions, function: &Function) -> TokenStream {
    let (item, ident, visibility) = (&function.item, function.ident(), function.visibility());
    let name = options
        .name
        .as_ref()
        .map_or_else(|| function.name(), syn::LitStr::value);
    let definition = definition(options, function);
    let call = call(function);
    quote! {
        // A tool owns its arguments, whatever it does with them, and has as many as agents should give.
        #[allow(clippy::needless_pass_by_value, clippy::too_many_arguments)]
        #item

        #[doc(hidden)]
        #[allow(non_camel_case_types, clippy::empty_enums)]
        #visibility enum #ident {}

        #[allow(clippy::all, clippy::pedantic)]
        impl ::holster_sdk::Tool for #ident {
            const NAME: &'static str = #name;

            fn definition() -> ::holster_sdk::ToolDefinition {
                #definition
            }

            fn call(
                arguments: &str,
                context: &::holster_sdk::Context,
            ) -> ::core::result::Result<::holster_sdk::Output, ::holster_sdk::ToolError> {
                #call
            }
        }
    }
}

fn definition(options: &ToolOptions, function: &Function) -> TokenStream {
    let description = &function.description;
    let title = option(
        options
            .title
            .as_ref()
            .map(|title| quote!(::std::string::String::from(#title))),
    );
    let parameters = function
        .parameters
        .iter()
        .filter_map(|parameter| match parameter {
            Parameter::Context { .. } => None,
            Parameter::Argument(argument) => Some(schema_of(argument)),
        });
    let output_schema = match &function.answer.content {
        Content::Typed { ty, always_wrapped } => {
            quote_spanned!(ty.span()=> ::core::option::Option::Some(
                ::holster_sdk::__private::output_schema::<#ty>(#always_wrapped)
            ))
        }
        Content::Nothing | Content::Text | Content::Explicit => {
            quote!(::core::option::Option::None)
        }
    };
    let requirements = options.requirements.iter().map(|requirement| {
        let (provider, scopes) = (&requirement.provider, &requirement.scopes);
        quote!(::holster_sdk::Requirement {
            provider: ::std::string::String::from(#provider),
            scopes: ::std::vec![#(::std::string::String::from(#scopes)),*],
        })
    });
    let [read_only, destructive, idempotent, open_world] = [
        options.read_only,
        options.destructive,
        options.idempotent,
        options.open_world,
    ]
    .map(|hint| option(hint.map(|hint| quote!(#hint))));
    quote! {
        ::holster_sdk::ToolDefinition {
            name: ::std::string::String::from(<Self as ::holster_sdk::Tool>::NAME),
            title: #title,
            description: ::std::string::String::from(#description),
            input_schema: ::holster_sdk::__private::InputSchema::new()
                #(#parameters)*
                .finish(),
            output_schema: #output_schema,
            requirements: ::std::vec![#(#requirements),*],
            behaviour: ::holster_sdk::Behaviour {
                read_only: #read_only,
                destructive: #destructive,
                idempotent: #idempotent,
                open_world: #open_world,
            },
        }
    }
}

fn schema_of(argument: &Argument) -> TokenStream {
    let name = &argument.name;
    let parameter = match &argument.presence {
        Presence::Required(ty) => {
            quote_spanned!(ty.span()=> ::holster_sdk::__private::Parameter::required::<#ty>(#name))
        }
        Presence::Optional(ty) => {
            quote_spanned!(ty.span()=> ::holster_sdk::__private::Parameter::optional::<#ty>(#name))
        }
        Presence::Default(ty, value) => {
            quote_spanned!(ty.span()=> ::holster_sdk::__private::Parameter::with_default::<#ty>(#name, &#value))
        }
    };
    let description = argument
        .description
        .iter()
        .map(|text| quote!(.description(#text)));
    let range = bounds(&argument.range, "minimum", "maximum");
    let length = bounds(&argument.length, "min_length", "max_length");
    quote!(.parameter(#parameter #(#description)* #range #length))
}

fn bounds(bounds: &Bounds, lower: &str, upper: &str) -> TokenStream {
    let bound = |bound: &Option<Box<Expr>>, method: &str| {
        let method = format_ident!("{method}");
        bound
            .as_ref()
            .map(|value| quote_spanned!(value.span()=> .#method(#value)))
    };
    let (lower, upper) = (bound(&bounds.lower, lower), bound(&bounds.upper, upper));
    quote!(#lower #upper)
}

fn call(function: &Function) -> TokenStream {
    let ident = function.ident();
    // Names of our own, lest a parameter that is called like the function hides it.
    let names: Vec<Ident> = (0..function.parameters.len())
        .map(|index| format_ident!("__parameter_{index}"))
        .collect();
    let values = function.parameters.iter().map(|parameter| match parameter {
        Parameter::Context {
            by_reference: true, ..
        } => quote!(context),
        Parameter::Context {
            by_reference: false,
            ..
        } => quote!(::core::clone::Clone::clone(context)),
        Parameter::Argument(argument) => value_of(argument),
    });
    let fallible = function.answer.fallible.then(|| quote!(?));
    let answer = match &function.answer.content {
        Content::Nothing => quote! {
            #ident(#(#names),*)#fallible;
            ::core::result::Result::Ok(::holster_sdk::Output::default())
        },
        Content::Text => {
            quote!(::core::result::Result::Ok(::holster_sdk::Output::text(#ident(#(#names),*)#fallible)))
        }
        Content::Explicit => quote!(::core::result::Result::Ok(#ident(#(#names),*)#fallible)),
        Content::Typed { ty, always_wrapped } => quote_spanned! {ty.span()=>
            ::holster_sdk::__private::structured::<#ty>(&#ident(#(#names),*)#fallible, #always_wrapped)
        },
    };
    quote! {
        let mut arguments = ::holster_sdk::__private::Arguments::parse(arguments)?;
        #(let #names = #values;)*
        arguments.finish()?;
        #answer
    }
}

fn value_of(argument: &Argument) -> TokenStream {
    let name = &argument.name;
    match &argument.presence {
        Presence::Required(ty) => quote_spanned!(ty.span()=> arguments.required::<#ty>(#name)?),
        Presence::Optional(ty) => quote_spanned!(ty.span()=> arguments.optional::<#ty>(#name)?),
        Presence::Default(ty, value) => {
            quote_spanned!(ty.span()=> arguments.optional::<#ty>(#name)?.unwrap_or_else(|| #value))
        }
    }
}

fn option(value: Option<TokenStream>) -> TokenStream {
    value.map_or_else(
        || quote!(::core::option::Option::None),
        |value| quote!(::core::option::Option::Some(#value)),
    )
}
