//! The floor of a call over MCP: the tool `echo`, served at standard input and output by the protocol's library and nothing
//! else. There is no component, no sandbox, no schema, no account and no record: what those cost is what a host adds.

#![forbid(unsafe_code)]

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::transport::io::stdio_pipes;
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt as _};
use serde_json::{Value, json};

struct Floor;

impl ServerHandler for Floor {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let schema = json!({ "type": "object", "properties": { "text": { "type": "string" } } });
        let schema = schema.as_object().cloned().unwrap_or_default();
        let echo = Tool::new("echo", "Gives a text back.", schema);
        Ok(ListToolsResult::with_all_items(vec![echo]))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let mut arguments = request.arguments.unwrap_or_default();
        match (&*request.name, arguments.remove("text")) {
            ("echo", Some(Value::String(text))) => {
                Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
            }
            (name, _) => Err(ErrorData::invalid_params(
                format!("there is only `echo` here, with a `text`, and no `{name}`"),
                None,
            )),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    Floor.serve(stdio_pipes()).await?.waiting().await?;
    Ok(())
}
