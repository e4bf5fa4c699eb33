//! The tools that the hosts are measured with, as an author writes them for wassette in Rust.

wit_bindgen::generate!({ path: "../wit", world: "tools" });

struct Component;

impl Guest for Component {
    fn echo(text: String) -> String {
        text
    }

    fn big(bytes: u32) -> String {
        "x".repeat(bytes as usize)
    }

    fn spin() -> String {
        loop {
            std::hint::black_box(());
        }
    }
}

export!(Component);
