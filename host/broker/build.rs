//! Lists the files in `providers/`, so that adding a provider is adding a file.

use std::fmt::Write as _;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=providers");
    println!("cargo::rerun-if-changed=build.rs");
    let manifest =
        std::env::var("CARGO_MANIFEST_DIR").expect("cargo names the folder of the crate");
    let mut files: Vec<_> = std::fs::read_dir(Path::new(&manifest).join("providers"))
        .expect("the folder of providers can be read")
        .map(|entry| entry.expect("the folder of providers can be listed").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    files.sort();
    let mut list = String::from("&[\n");
    for file in files {
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a provider's file name is text");
        // Not the path itself: a target folder may outlive the checkout that it was filled from.
        writeln!(
            list,
            "    ({name:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/providers/\", {name:?}))),",
        )
        .expect("text can be written to");
    }
    list.push_str("]\n");
    let out = std::env::var("OUT_DIR").expect("cargo names the folder for generated files");
    std::fs::write(Path::new(&out).join("providers.rs"), list)
        .expect("the list of providers can be written");
}
