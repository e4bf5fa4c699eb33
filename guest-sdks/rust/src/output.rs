//! What a tool answers with, where a text or a typed value is not enough: pictures, sounds, links, several pieces.
//!
//! A function that returns [`Output`] decides on every piece of content itself, and has no output schema.

pub use crate::bindings::exports::holster::plugin::tool::{
    Content, EmbeddedResource, Media, ResourceContents, ResourceLink, ToolOutput as Output,
};

impl Output {
    /// One text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::default().and_text(text)
    }

    /// Adds a text.
    #[must_use]
    pub fn and_text(self, text: impl Into<String>) -> Self {
        self.and(Content::Text(text.into()))
    }

    /// Adds a picture, such as an `image/png`.
    #[must_use]
    pub fn and_image(self, mime_type: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        self.and(Content::Image(Media {
            data: data.into(),
            mime_type: mime_type.into(),
        }))
    }

    /// Adds a sound, such as an `audio/mpeg`.
    #[must_use]
    pub fn and_audio(self, mime_type: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        self.and(Content::Audio(Media {
            data: data.into(),
            mime_type: mime_type.into(),
        }))
    }

    /// Adds a link that the client may follow by itself. `uri` is absolute.
    #[must_use]
    pub fn and_link(self, name: impl Into<String>, uri: impl Into<String>) -> Self {
        let (name, uri) = (name.into(), uri.into());
        self.and(Content::ResourceLink(ResourceLink {
            uri,
            name,
            description: None,
            mime_type: None,
        }))
    }

    /// Adds a resource as a text, such as a `text/markdown`. `uri` is absolute; the client need not be able to fetch it.
    #[must_use]
    pub fn and_resource(
        self,
        uri: impl Into<String>,
        mime_type: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        self.and(Content::EmbeddedResource(EmbeddedResource {
            uri: uri.into(),
            mime_type: Some(mime_type.into()),
            contents: ResourceContents::Text(text.into()),
        }))
    }

    /// Adds a piece of content.
    #[must_use]
    pub fn and(mut self, content: Content) -> Self {
        self.content.push(content);
        self
    }
}

impl Default for Output {
    /// Nothing, which is a fine answer of a tool that only does something.
    fn default() -> Self {
        Self {
            content: Vec::new(),
        }
    }
}
