//! Secrets that a person types: without echo, or from standard input; never an argument, which others could see.

use std::io::{BufRead, IsTerminal};

use holster_core::types::{ExposeSecret, SecretString};

use crate::exit::Exit;

/// A secret; from the next line of standard input where that is wanted.
pub(crate) fn secret(prompt: &str, stdin: bool) -> Result<SecretString, Exit> {
    let text = if stdin {
        let mut line = String::new();
        std::io::stdin()
            .lock()
            .read_line(&mut line)
            .map_err(Exit::failed)?;
        line
    } else if std::io::stdin().is_terminal() {
        rpassword::prompt_password(format!("{prompt}: ")).map_err(Exit::failed)?
    } else {
        return Err(Exit::usage(
            "there is no terminal to ask for the secret; pass it on standard input with `--stdin`",
        ));
    };
    Ok(text.trim_end_matches(['\r', '\n']).into())
}

/// A new passphrase: typed twice on a terminal.
pub(crate) fn new_passphrase(stdin: bool) -> Result<SecretString, Exit> {
    let passphrase = secret("Passphrase (at least 12 characters)", stdin)?;
    if !stdin {
        let again = secret("The same again", stdin)?;
        if again.expose_secret() != passphrase.expose_secret() {
            return Err(Exit::usage("the two are not the same; nothing was done"));
        }
    }
    Ok(passphrase)
}
