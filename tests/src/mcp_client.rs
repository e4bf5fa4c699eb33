//! An MCP client of the tests' own: it says exactly what a test wants said, well-formed or not.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::Fixture;

/// A version of the protocol, and how a client of it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Plain results only.
    V2025_06_18,
    /// The server may ask for an address to be shown.
    V2025_11_25,
    /// No handshake: each request says all about itself.
    V2026_07_28,
}

impl Protocol {
    /// As it is written on the wire.
    pub fn version(self) -> &'static str {
        match self {
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }
}

/// A client at the standard input and output of `holster mcp`.
pub struct McpClient {
    process: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    protocol: Protocol,
    capabilities: Value,
    next: u64,
    /// What the server sent besides answers, in its order.
    pub messages: Vec<Value>,
}

impl McpClient {
    /// Starts `holster mcp` with these arguments and begins as the version has it.
    pub fn start(
        fixture: &Fixture,
        arguments: &[&str],
        protocol: Protocol,
        capabilities: Value,
    ) -> Self {
        let command = fixture.command(&[&["mcp"], arguments].concat());
        Self::start_as(command, protocol, capabilities)
    }

    /// Starts this command, which serves at its standard input and output, and begins as the version has it.
    pub fn start_as(mut command: Command, protocol: Protocol, capabilities: Value) -> Self {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`holster` was built with the tests");
        let mut client = Self {
            stdin: process.stdin.take(),
            stdout: BufReader::new(process.stdout.take().expect("it is piped")),
            process,
            protocol,
            capabilities,
            next: 0,
            messages: Vec::new(),
        };
        if protocol != Protocol::V2026_07_28 {
            let answer = client.request("initialize", client.hello());
            let version = &answer["result"]["protocolVersion"];
            assert_eq!(version, protocol.version(), "{answer}");
            client.notify("notifications/initialized", &json!({}));
        }
        client
    }

    fn hello(&self) -> Value {
        json!({
            "protocolVersion": self.protocol.version(),
            "capabilities": self.capabilities,
            "clientInfo": { "name": "test", "version": "1" },
        })
    }

    /// What this version says with every request.
    fn meta(&self) -> Value {
        match self.protocol {
            Protocol::V2026_07_28 => json!({
                "io.modelcontextprotocol/protocolVersion": self.protocol.version(),
                "io.modelcontextprotocol/clientCapabilities": self.capabilities,
                "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
            }),
            _ => json!({}),
        }
    }

    /// Writes one line.
    pub fn send(&mut self, message: &Value) {
        let stdin = self.stdin.as_mut().expect("the client has not ended");
        writeln!(stdin, "{message}").expect("the server reads");
    }

    /// Sends a notification.
    pub fn notify(&mut self, method: &str, params: &Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// Sends a request; its id.
    pub fn begin(&mut self, method: &str, mut params: Value) -> u64 {
        self.next += 1;
        for (name, value) in self.meta().as_object().expect("an object") {
            params["_meta"][name] = value.clone();
        }
        let id = self.next;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    /// The next message of the server.
    pub fn receive(&mut self) -> Value {
        let mut line = String::new();
        let read = self.stdout.read_line(&mut line).expect("text");
        assert!(read > 0, "the server ended");
        serde_json::from_str(&line).expect("a message is JSON")
    }

    /// Reads up to the answer to `id`; keeps what comes before.
    pub fn answer(&mut self, id: u64) -> Value {
        loop {
            let message = self.receive();
            if message["id"] == id && message.get("method").is_none() {
                return message;
            }
            self.messages.push(message);
        }
    }

    /// Reads up to a message with this method, a request or a notification.
    pub fn await_method(&mut self, method: &str) -> Value {
        loop {
            let kept = self
                .messages
                .iter()
                .position(|message| message["method"] == method);
            if let Some(position) = kept {
                return self.messages.remove(position);
            }
            let message = self.receive();
            self.messages.push(message);
        }
    }

    /// Sends a request; its whole answer.
    pub fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.begin(method, params);
        self.answer(id)
    }

    /// Calls a tool; the result, or the error where there is none.
    pub fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.call_with(tool, arguments, json!({}))
    }

    /// As [`call`](Self::call), with more parameters than that.
    pub fn call_with(&mut self, tool: &str, arguments: Value, more: Value) -> Value {
        let mut params = more;
        params["name"] = tool.into();
        params["arguments"] = arguments;
        let mut answer = self.request("tools/call", params);
        let part = if answer.get("result").is_some() {
            "result"
        } else {
            "error"
        };
        answer[part].take()
    }

    /// All tools, page by page.
    pub fn tools(&mut self) -> Vec<Value> {
        let (mut tools, mut params) = (Vec::new(), json!({}));
        loop {
            let mut answer = self.request("tools/list", params);
            let Value::Array(page) = answer["result"]["tools"].take() else {
                panic!("{answer}");
            };
            tools.extend(page);
            match answer["result"]["nextCursor"].take() {
                Value::Null => return tools,
                cursor => params = json!({ "cursor": cursor }),
            }
        }
    }

    /// The id of the server's process.
    pub fn process(&self) -> u32 {
        self.process.id()
    }

    /// Closes the server's standard input; whether it then ended well.
    pub fn end(mut self) -> bool {
        self.stdin = None;
        let status = self.process.wait().expect("it is ours");
        status.success()
    }
}

impl Drop for McpClient {
    fn drop(&mut self) {
        // A test that fails must not leave the server behind.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
