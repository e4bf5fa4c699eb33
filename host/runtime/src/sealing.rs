//! Sealed tokens: stand-ins that a guest may hold, print or leak without harm.
//!
//! A sealed token is 256 bits of randomness with a prefix. It means something only to the egress of the call
//! that made it, and only there is it exchanged for the secret.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use holster_types::{ExposeSecret, Grant};

/// What every sealed token begins with, so that a person who finds one in a log knows what it is.
const PREFIX: &str = "holster-sealed-";

/// A grant with the token that stands for its secret.
#[derive(Debug, Clone)]
pub(crate) struct Sealed {
    pub(crate) grant: Grant,
    token: String,
    /// Policy lets the guest see the secret itself.
    revealed: bool,
}

impl Sealed {
    pub(crate) fn seal(grant: Grant, revealed: bool) -> Self {
        let mut random = [0; 32];
        getrandom::fill(&mut random).expect("the operating system gives random bytes");
        Self {
            grant,
            token: format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random)),
            revealed,
        }
    }

    /// What the guest gets: the stand-in, or the secret where policy reveals it.
    pub(crate) fn shown(&self) -> &str {
        if self.revealed {
            self.grant.secret.sent().expose_secret()
        } else {
            &self.token
        }
    }

    /// The stand-in.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// The variables of a tool that reads its environment. A signing secret is among them only where it is revealed:
    /// a stand-in for it could not sign.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&str, &str)> {
        let signing = self
            .grant
            .secret
            .signing()
            .filter(|_| self.revealed)
            .map(ExposeSecret::expose_secret);
        self.grant
            .environment
            .iter()
            .map(String::as_str)
            .zip([Some(self.shown()), signing].into_iter().flatten())
    }

    /// Whether the guest may see the secret.
    pub(crate) fn is_revealed(&self) -> bool {
        self.revealed
    }

    /// `text` with the secret in the place of the stand-in; `None` if the stand-in is not in it.
    pub(crate) fn unseal(&self, text: &str) -> Option<String> {
        text.contains(&self.token)
            .then(|| text.replace(&self.token, self.grant.secret.sent().expose_secret()))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use holster_types::{CredentialHeader, GrantSecret, ProfileName, ProviderId, Scopes};

    use super::*;

    pub(crate) fn grant(secret: &str, hosts: &[&str]) -> Grant {
        Grant {
            provider: ProviderId::new("slack").unwrap(),
            profile: ProfileName::new("work").unwrap(),
            account: None,
            scopes: Scopes::default(),
            expires_at: None,
            generation: 0,
            secret: GrantSecret::Token(secret.into()),
            header: CredentialHeader {
                name: "authorization".into(),
                scheme: "Bearer".into(),
            },
            query: None,
            secret_header: None,
            proof: None,
            hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
            environment: vec!["SLACK_BOT_TOKEN".into()],
        }
    }

    #[test]
    fn a_sealed_token_holds_nothing_of_the_secret_and_is_new_each_time() {
        let first = Sealed::seal(grant("planted-secret", &[]), false);
        let second = Sealed::seal(grant("planted-secret", &[]), false);
        assert!(!first.shown().contains("planted-secret"));
        assert_ne!(first.shown(), second.shown());
        assert_eq!(first.unseal(second.shown()), None);
        assert_eq!(
            first
                .unseal(&format!("Bearer {}", first.shown()))
                .as_deref(),
            Some("Bearer planted-secret")
        );
    }

    #[test]
    fn a_revealed_credential_shows_the_secret() {
        assert_eq!(
            Sealed::seal(grant("planted-secret", &[]), true).shown(),
            "planted-secret"
        );
    }

    #[test]
    fn the_environment_holds_stand_ins_unless_policy_reveals_the_secrets() {
        let mut pair = grant("", &[]);
        pair.secret = GrantSecret::KeyPair {
            key: "planted-key".into(),
            secret: "planted-secret".into(),
        };
        pair.environment = vec!["API_KEY".into(), "API_SECRET".into()];

        let sealed = Sealed::seal(pair.clone(), false);
        let variables: Vec<_> = sealed.environment().collect();
        assert_eq!(variables, [("API_KEY", sealed.shown())]);
        assert!(!sealed.shown().contains("planted"));

        let revealed = Sealed::seal(pair, true);
        let variables: Vec<_> = revealed.environment().collect();
        assert_eq!(
            variables,
            [("API_KEY", "planted-key"), ("API_SECRET", "planted-secret")]
        );
    }
}
