//! One client at standard input and output.

use rmcp::ServiceExt as _;
use rmcp::service::ServerInitializeError;
use rmcp::transport::io::stdio_pipes;

use crate::Server;

/// Why a client at standard input was not served to its end.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum StdioError {
    #[error("the client did not begin as the protocol has it: {0}")]
    Begin(Box<ServerInitializeError>),
    #[error("the server broke down: {0}")]
    Broken(tokio::task::JoinError),
}

/// Serves the client at standard input until it closes that.
pub async fn serve_stdio(server: Server) -> Result<(), StdioError> {
    let running = match server.serve(stdio_pipes()).await {
        Ok(running) => running,
        // Who only looked whether the program starts.
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(error) => return Err(StdioError::Begin(Box::new(error))),
    };
    running.waiting().await.map_err(StdioError::Broken)?;
    Ok(())
}
