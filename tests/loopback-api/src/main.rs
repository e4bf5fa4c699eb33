//! `loopback-api`: prints the base URL of the loopback API and serves until its standard input closes.

#![forbid(unsafe_code)]

use std::io;

use loopback_api::LoopbackApi;
use tokio::io::AsyncReadExt;

#[tokio::main]
async fn main() -> io::Result<()> {
    let api = LoopbackApi::start().await?;
    println!("{}", api.url());
    // Whoever started it holds the other end, so that it never outlives them.
    let mut input = tokio::io::stdin();
    while input.read(&mut [0; 64]).await? > 0 {}
    Ok(())
}
