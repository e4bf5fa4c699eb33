//! The text of a doc comment, as an agent should read it.

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The doc comment up to its first heading (`# Errors`, `# Arguments`), which speaks to programmers. `None` if empty.
pub(crate) fn description(attributes: &[Attribute]) -> Option<String> {
    let lines: Vec<String> = attributes.iter().filter_map(line).collect();
    let text = lines
        .iter()
        .flat_map(|text| text.split('\n'))
        .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end())
        .take_while(|line| !is_heading(line))
        .collect::<Vec<_>>()
        .join("\n");
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Whether the attribute is a line of a doc comment.
pub(crate) fn is_doc(attribute: &Attribute) -> bool {
    attribute.path().is_ident("doc")
}

fn line(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

fn is_heading(line: &str) -> bool {
    let rest = line.trim_start_matches('#');
    rest.len() < line.len() && rest.starts_with(' ')
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn a_description_ends_where_the_first_heading_begins() {
        let function: syn::ItemFn = parse_quote! {
            /// Lists issues.
            ///
            /// Newest first; issue #7 is not a heading.
            ///
            /// # Errors
            /// None.
            fn f() {}
        };
        assert_eq!(
            description(&function.attrs).as_deref(),
            Some("Lists issues.\n\nNewest first; issue #7 is not a heading.")
        );
    }

    #[test]
    fn no_doc_comment_is_no_description() {
        let function: syn::ItemFn = parse_quote! {
            #[inline]
            ///
            fn f() {}
        };
        assert_eq!(description(&function.attrs), None);
    }
}
