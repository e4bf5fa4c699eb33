//! The attribute macro of `holster-sdk`, which is where its users find it and its documentation.
//!
//! It reads a plain function (`function`), the options beside it (`options`, `parameter`) and its documentation
//! (`doc`), and writes the function's description and its call as an implementation of `holster_sdk::Tool` (`emit`).
//! It promises errors that point at the words that are wrong. It knows nothing about schemas: those come from the
//! types, at run time, by `holster-sdk`.

#![forbid(unsafe_code)]

mod doc;
mod emit;
mod errors;
mod function;
mod options;
mod parameter;

use proc_macro2::TokenStream;
use quote::ToTokens as _;

/// Makes a tool of a plain function. See `holster_sdk::tool` for the whole description.
#[proc_macro_attribute]
pub fn tool(
    options: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    let item = TokenStream::from(item);
    match expand(options.into(), item.clone()) {
        Ok(tokens) => tokens.into(),
        Err(error) => {
            // The function stays, so that its own mistakes and its callers' are reported as well.
            let mut tokens = without_parameter_attributes(item);
            error.into_compile_error().to_tokens(&mut tokens);
            tokens.into()
        }
    }
}

fn expand(options: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let options = syn::parse2::<options::ToolOptions>(options)?;
    let function = function::Function::read(item)?;
    if let (None, Some(message)) = (&options.name, options::tool_name(&function.name())) {
        return Err(syn::Error::new(
            function.ident().span(),
            format!("{message}; give it one by `name = \"…\"`"),
        ));
    }
    Ok(emit::tool(&options, &function))
}

fn without_parameter_attributes(item: TokenStream) -> TokenStream {
    match syn::parse2::<syn::ItemFn>(item.clone()) {
        Ok(mut function) => {
            function::strip_parameter_attributes(&mut function);
            function.into_token_stream()
        }
        Err(_) => item,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages, each with the words of the source that it points at.
    fn errors(source: &str) -> Vec<(String, String)> {
        let mut item: syn::ItemFn = syn::parse_str(source).expect(source);
        let options = match item.attrs.remove(0).meta {
            syn::Meta::List(list) => list.tokens,
            _ => TokenStream::new(),
        };
        let Err(errors) = expand(options, item.into_token_stream()) else {
            return Vec::new();
        };
        let pointed_at = |error: &syn::Error| error.span().source_text().unwrap_or_default();
        errors
            .into_iter()
            .map(|error| (error.to_string(), pointed_at(&error)))
            .collect()
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "one table")]
    fn a_mistake_is_reported_where_it_was_made() {
        for (source, words, message) in [
            ("#[tool] fn f() {}", "f", "write a doc comment above it"),
            (
                "#[tool] /// # Errors\n fn f() {}",
                "f",
                "write a doc comment above it",
            ),
            (
                "#[tool] /// D.\n async fn f() {}",
                "async",
                "remove `async`",
            ),
            (
                "#[tool] /// D.\n unsafe fn f() {}",
                "unsafe",
                "remove `unsafe`",
            ),
            (
                "#[tool] /// D.\n extern \"C\" fn f() {}",
                "extern \"C\"",
                "remove `extern`",
            ),
            (
                "#[tool] /// D.\n fn f<T>(t: T) {}",
                "<T>",
                "no type parameters",
            ),
            ("#[tool] /// D.\n fn f(&self) {}", "&self", "has no `self`"),
            (
                "#[tool] /// D.\n fn f(a: &str) {}",
                "&str",
                "write `String`",
            ),
            ("#[tool] /// D.\n fn f(a: &[u8]) {}", "&[u8]", "without `&`"),
            (
                "#[tool] /// D.\n fn f(a: impl Into<String>) {}",
                "impl Into<String>",
                "a type of its own",
            ),
            (
                "#[tool] /// D.\n fn f((a, b): (u8, u8)) {}",
                "(a, b)",
                "a plain name",
            ),
            (
                "#[tool] /// D.\n fn f(a: &mut Context) {}",
                "&mut Context",
                "write `&Context`",
            ),
            (
                "#[tool] /// D.\n fn f(a: &Context, b: Context) {}",
                "Context",
                "remove this second one",
            ),
            (
                "#[tool] /// D.\n fn f() -> impl Serialize {}",
                "impl Serialize",
                "names the type that it returns",
            ),
            ("#[tool] /// D.\n fn f() -> ! {}", "!", "has to return"),
            (
                "#[tool] /// D.\n fn f(#[param(default = 1)] a: Option<u8>) {}",
                "Option<u8>",
                "without `Option`",
            ),
            (
                "#[tool] /// D.\n fn f(#[param(size = 1)] a: u8) {}",
                "size",
                "there is no option `size`",
            ),
            (
                "#[tool] /// D.\n fn f(#[param(range = 5)] a: u8) {}",
                "5",
                "write bounds as a range",
            ),
            (
                "#[tool] /// D.\n fn f(#[param(range = 1..5)] a: u8) {}",
                "..",
                "write `..=`",
            ),
            (
                "#[tool] /// D.\n fn f(#[param(default, default)] a: u8) {}",
                "default",
                "given twice",
            ),
            (
                "#[tool(readonly)] /// D.\n fn f() {}",
                "readonly",
                "there is no option `readonly`",
            ),
            (
                "#[tool(name = \"a b\")] /// D.\n fn f() {}",
                "\"a b\"",
                "1 to 64 characters",
            ),
            (
                "#[tool] /// D.\n fn größe() {}",
                "größe",
                "give it one by `name",
            ),
            (
                "#[tool(read_only, read_only)] /// D.\n fn f() {}",
                "read_only",
                "given twice",
            ),
            (
                "#[tool(auth(scopes = []))] /// D.\n fn f() {}",
                "(scopes = [])",
                "needs `provider",
            ),
            (
                "#[tool(auth(provider = \"GitHub\"))] /// D.\n fn f() {}",
                "\"GitHub\"",
                "a provider's id",
            ),
            (
                "#[tool(auth(provider = \"a\"), auth(provider = \"a\"))] /// D.\n fn f() {}",
                "\"a\"",
                "required twice",
            ),
            (
                "#[tool(auth(provider = \"a\", scope = \"b\"))] /// D.\n fn f() {}",
                "scope",
                "but no `scope`",
            ),
        ] {
            let errors = errors(source);
            let [(text, place)] = errors.as_slice() else {
                panic!("{source}: {errors:?}")
            };
            assert!(text.contains(message), "{source}: {text}");
            assert_eq!(place, words, "{source}: {text}");
        }
    }

    #[test]
    fn all_mistakes_of_a_function_are_reported_at_once() {
        let errors = errors("#[tool] async fn f(a: &str, (b, c): (u8, u8)) -> impl Copy {}");
        assert_eq!(errors.len(), 5, "{errors:?}");
    }

    #[test]
    fn only_a_function_can_be_a_tool() {
        let error = expand(
            TokenStream::new(),
            quote::quote!(
                struct Tool;
            ),
        )
        .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("`#[tool]` stands on a function"),
            "{error}"
        );
    }

    #[test]
    fn a_function_with_a_mistake_stays_without_our_attributes() {
        let tokens = |source: &str| source.parse::<TokenStream>().unwrap();
        let kept = without_parameter_attributes(tokens(
            "fn f(#[param(default)] /** D. */ #[inline] a: u8) {}",
        ));
        assert_eq!(
            kept.to_string(),
            tokens("fn f(#[inline] a: u8) {}").to_string()
        );
    }
}
