//! What stands in `#[tool(…)]`.

use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Ident, LitBool, LitStr, Result, Token, bracketed, parenthesized};

const KNOWN: &str = "`name = \"…\"`, `title = \"…\"`, `auth(provider = \"…\", scopes = […])`, `read_only`, \
                     `destructive`, `idempotent` and `open_world` (each of the last four also as `… = false`)";

/// The options of a tool.
#[derive(Default)]
pub(crate) struct ToolOptions {
    pub(crate) name: Option<LitStr>,
    pub(crate) title: Option<LitStr>,
    pub(crate) requirements: Vec<Requirement>,
    pub(crate) read_only: Option<bool>,
    pub(crate) destructive: Option<bool>,
    pub(crate) idempotent: Option<bool>,
    pub(crate) open_world: Option<bool>,
}

/// One `auth(…)`.
pub(crate) struct Requirement {
    pub(crate) provider: LitStr,
    pub(crate) scopes: Vec<LitStr>,
}

impl Parse for ToolOptions {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Self::default();
        while !input.is_empty() {
            options.take(&input.parse()?, input)?;
            if input.is_empty() {
                break;
            }
            input.parse::<Token![,]>()?;
        }
        Ok(options)
    }
}

impl ToolOptions {
    fn take(&mut self, key: &Ident, input: ParseStream<'_>) -> Result<()> {
        match key.to_string().as_str() {
            "name" => set(&mut self.name, text(input, tool_name)?, key),
            "title" => set(&mut self.title, text(input, title)?, key),
            "auth" => self.require(input.parse()?),
            "read_only" => set(&mut self.read_only, flag(input)?, key),
            "destructive" => set(&mut self.destructive, flag(input)?, key),
            "idempotent" => set(&mut self.idempotent, flag(input)?, key),
            "open_world" => set(&mut self.open_world, flag(input)?, key),
            other => Err(Error::new(
                key.span(),
                format!("there is no option `{other}`; the options are {KNOWN}"),
            )),
        }
    }

    fn require(&mut self, requirement: Requirement) -> Result<()> {
        let provider = requirement.provider.value();
        if self
            .requirements
            .iter()
            .any(|known| known.provider.value() == provider)
        {
            return Err(Error::new(
                requirement.provider.span(),
                format!("`{provider}` is required twice; list all scopes in one `auth(…)`"),
            ));
        }
        if self.requirements.len() == 16 {
            return Err(Error::new(
                requirement.provider.span(),
                "a tool may need at most 16 accounts",
            ));
        }
        self.requirements.push(requirement);
        Ok(())
    }
}

impl Parse for Requirement {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let content;
        let parentheses = parenthesized!(content in input);
        let mut provider = None;
        let mut scopes = None;
        while !content.is_empty() {
            let key: Ident = content.parse()?;
            content.parse::<Token![=]>()?;
            match key.to_string().as_str() {
                "provider" => set(&mut provider, checked(content.parse()?, provider_id)?, &key)?,
                "scopes" => set(&mut scopes, self::scopes(&content)?, &key)?,
                other => {
                    let message = format!(
                        "`auth(…)` has `provider = \"…\"` and `scopes = […]`, but no `{other}`"
                    );
                    return Err(Error::new(key.span(), message));
                }
            }
            if content.is_empty() {
                break;
            }
            content.parse::<Token![,]>()?;
        }
        let provider = provider.ok_or_else(|| {
            Error::new(
                parentheses.span.join(),
                "`auth(…)` needs `provider = \"…\"`, such as `provider = \"github\"`",
            )
        })?;
        Ok(Self {
            provider,
            scopes: scopes.unwrap_or_default(),
        })
    }
}

fn scopes(input: ParseStream<'_>) -> Result<Vec<LitStr>> {
    let content;
    let brackets = bracketed!(content in input);
    let scopes: Vec<LitStr> = Punctuated::<LitStr, Token![,]>::parse_terminated(&content)?
        .into_iter()
        .collect();
    if scopes.len() > 64 {
        return Err(Error::new(
            brackets.span.join(),
            "a requirement may have at most 64 scopes",
        ));
    }
    scopes
        .into_iter()
        .map(|text| checked(text, scope))
        .collect()
}

/// The rule that a text has to satisfy: `None` if it does, else what is wrong.
type Rule = fn(&str) -> Option<&'static str>;

fn text(input: ParseStream<'_>, rule: Rule) -> Result<LitStr> {
    input.parse::<Token![=]>()?;
    checked(input.parse()?, rule)
}

fn checked(text: LitStr, rule: Rule) -> Result<LitStr> {
    match rule(&text.value()) {
        None => Ok(text),
        Some(message) => Err(Error::new(text.span(), message)),
    }
}

/// `read_only` and `read_only = true` are the same.
fn flag(input: ParseStream<'_>) -> Result<bool> {
    if input.peek(Token![=]) {
        input.parse::<Token![=]>()?;
        return Ok(input.parse::<LitBool>()?.value);
    }
    Ok(true)
}

fn set<T>(slot: &mut Option<T>, value: T, key: &Ident) -> Result<()> {
    if slot.replace(value).is_some() {
        return Err(Error::new(key.span(), format!("`{key}` is given twice")));
    }
    Ok(())
}

/// A tool's name, by the rules of `holster:plugin`.
pub(crate) fn tool_name(name: &str) -> Option<&'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (name.is_empty() || name.len() > 64 || !name.bytes().all(allowed))
        .then_some("a tool's name is 1 to 64 characters of `A-Z a-z 0-9 _ -`")
}

fn title(title: &str) -> Option<&'static str> {
    (title.is_empty() || title.chars().count() > 128)
        .then_some("a title is 1 to 128 characters long")
}

fn provider_id(id: &str) -> Option<&'static str> {
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-'
    };
    (id.is_empty() || id.len() > 64 || !id.bytes().all(allowed))
        .then_some("a provider's id is 1 to 64 characters of `a-z 0-9 _ -`, such as `github`")
}

fn scope(scope: &str) -> Option<&'static str> {
    (scope.is_empty() || scope.len() > 256)
        .then_some("a scope is 1 to 256 bytes long, in the provider's own spelling")
}
