//! How a person connects an account, and how others try to get between: a broker, its connect pages, a real identity
//! provider or one that lies, and a browser. `tests/attacks.tsv` says which test stands for which attack.

#[path = "connections/accounts.rs"]
mod accounts;
#[path = "connections/answers.rs"]
mod answers;
#[path = "connections/callbacks.rs"]
mod callbacks;
#[path = "connections/chromium.rs"]
mod chromium;
#[path = "connections/fake_provider.rs"]
mod fake_provider;
#[path = "connections/forms.rs"]
mod forms;
#[path = "connections/fuzz.rs"]
mod fuzz;
#[path = "connections/lies.rs"]
mod lies;
#[path = "connections/secrets.rs"]
mod secrets;
#[path = "connections/setting.rs"]
mod setting;
#[path = "connections/signing_in.rs"]
mod signing_in;
#[path = "connections/ways.rs"]
mod ways;
