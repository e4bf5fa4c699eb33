//! What the README says is true.

use std::fs;
use std::path::Path;

use holster_core::Config;
use holster_tests::repository;

#[test]
fn the_configuration_in_the_readme_is_one() {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let (_, rest) = readme
        .split_once("```toml\n")
        .expect("the README shows a configuration");
    let (text, _) = rest.split_once("```").unwrap();
    let config = Config::parse(text, Path::new("README.md")).unwrap();
    let component = "github-issues".parse().unwrap();
    let (_, granted) = config.components.of(&component).unwrap();
    assert_eq!((granted.hosts.len(), granted.folders.len()), (1, 1));
}

#[test]
fn the_published_schema_is_the_one_of_this_program() {
    let published = fs::read_to_string(repository().join("host/core/holster.schema.json")).unwrap();
    let published: serde_json::Value = serde_json::from_str(&published).unwrap();
    assert_eq!(
        published,
        Config::schema(),
        "run `holster schema > host/core/holster.schema.json`"
    );
}
