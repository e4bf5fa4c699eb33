//! The guest's side of the WIT package, generated from `wit/` and from nowhere else.

#![allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    clippy::pedantic,
    reason = "generated code; it alone crosses the border to the host"
)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "holster:plugin/plugin",
    generate_all,
    pub_export_macro: true,
    default_bindings_module: "::holster_sdk::__private::bindings",
    // For the tests of tools and their authors.
    additional_type_attributes: {
        "holster:plugin/tool@0.1.0/behaviour": [#[derive(PartialEq)]],
        "holster:plugin/tool@0.1.0/call-context": [#[derive(PartialEq)]],
        "holster:plugin/tool@0.1.0/content": [#[derive(PartialEq)]],
        "holster:plugin/tool@0.1.0/media": [#[derive(PartialEq)]],
        "holster:plugin/tool@0.1.0/requirement": [#[derive(PartialEq)]],
        "holster:plugin/tool@0.1.0/resource-link": [#[derive(PartialEq)]],
        "holster:plugin/tool@0.1.0/tool-definition": [#[derive(PartialEq)]],
        "holster:plugin/tool@0.1.0/tool-error": [#[derive(PartialEq)]],
        "holster:plugin/tool@0.1.0/tool-output": [#[derive(PartialEq)]],
        "holster:plugin/tool@0.1.0/embedded-resource": [#[derive(PartialEq)]],
        "holster:plugin/tool@0.1.0/resource-contents": [#[derive(PartialEq)]],
        "holster:plugin/auth@0.1.0/auth-error": [#[derive(PartialEq)]],
        "holster:plugin/auth@0.1.0/auth-header": [#[derive(PartialEq)]],
    },
});
