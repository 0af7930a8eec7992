//! What a handler answers: text, images and audio, or a failure that the model can act on.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

/// One item of an answer, as codex takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
#[non_exhaustive]
pub enum ContentItem {
    /// Text.
    #[serde(rename = "inputText")]
    Text {
        /// The text.
        text: String,
    },
    /// An image as a data URL.
    #[serde(rename = "inputImage", rename_all = "camelCase")]
    Image {
        /// `data:image/…;base64,…`
        image_url: String,
    },
    /// Audio as a data URL.
    #[serde(rename = "inputAudio", rename_all = "camelCase")]
    Audio {
        /// `data:audio/…;base64,…`
        audio_url: String,
    },
}

impl ContentItem {
    /// A text item.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }

    /// The length in bytes of what the item carries.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text { text } => text.len(),
            Self::Image { image_url } => image_url.len(),
            Self::Audio { audio_url } => audio_url.len(),
        }
    }

    /// Whether the item carries nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The whole answer of a skill: content items and whether it succeeded.
///
/// Most skills return a `String`, a serializable value or a `Result` of one; `SkillOutput` is for
/// several items, images, audio, and failures that are not errors of the handler.
///
/// `success` is not shown to the model (codex keeps it for its own display), so the text of a
/// failure should say that something failed.
///
/// ```
/// use codex_skills::SkillOutput;
///
/// let png = [0x89, b'P', b'N', b'G'];
/// let output = SkillOutput::text("The chart of last week.").with_image_bytes("image/png", &png)?;
/// assert_eq!(output.items().len(), 2);
/// assert!(output.is_success());
/// # Ok::<(), codex_skills::OutputError>(())
/// ```
// Deliberately not `Serialize`: a type that serializes is an answer by being turned into text.
#[derive(Clone, PartialEq, Eq)]
pub struct SkillOutput {
    items: Items,
    success: bool,
}

/// Content items: nearly always one, which then needs no list. `One` is never written as `Several`.
#[derive(Clone, PartialEq, Eq)]
enum Items {
    One(ContentItem),
    Several(Vec<ContentItem>),
}

impl Items {
    fn as_slice(&self) -> &[ContentItem] {
        match self {
            Self::One(item) => std::slice::from_ref(item),
            Self::Several(items) => items,
        }
    }

    fn push(&mut self, item: ContentItem) {
        *self = match std::mem::replace(self, Self::Several(Vec::new())) {
            Self::One(first) => Self::Several(vec![first, item]),
            Self::Several(items) if items.is_empty() => Self::One(item),
            Self::Several(mut items) => {
                items.push(item);
                Self::Several(items)
            }
        };
    }
}

/// A [`SkillOutput`] as it is written on the wire (contract §2.2).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireOutput<'a> {
    content_items: &'a [ContentItem],
    success: bool,
}

impl SkillOutput {
    /// A successful answer without items yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            items: Items::Several(Vec::new()),
            success: true,
        }
    }

    /// A successful answer of one text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new().with_text(text)
    }

    /// A failed answer. Say in the text that it failed and what would help: the model sees nothing else.
    pub fn failure(text: impl Into<String>) -> Self {
        Self {
            items: Items::One(ContentItem::text(text)),
            success: false,
        }
    }

    /// Adds a text.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.items.push(ContentItem::text(text));
        self
    }

    /// Adds an image given as a data URL.
    ///
    /// # Errors
    /// When it is not a `data:image/…;base64,…` URL: codex refuses remote images and leaves out those
    /// that it cannot decode.
    pub fn with_image(mut self, data_url: impl Into<String>) -> Result<Self, OutputError> {
        let image_url = data_url.into();
        check_data_url(&image_url, "image")?;
        self.items.push(ContentItem::Image { image_url });
        Ok(self)
    }

    /// Adds an image from its bytes. `mime` is its media type, for example `image/png`.
    ///
    /// # Errors
    /// When the media type is not one of images.
    pub fn with_image_bytes(mut self, mime: &str, bytes: &[u8]) -> Result<Self, OutputError> {
        let image_url = data_url("image", mime, bytes)?;
        self.items.push(ContentItem::Image { image_url });
        Ok(self)
    }

    /// Adds audio given as a data URL.
    ///
    /// # Errors
    /// When it is not a `data:audio/…;base64,…` URL: codex takes nothing else.
    pub fn with_audio(mut self, data_url: impl Into<String>) -> Result<Self, OutputError> {
        let audio_url = data_url.into();
        check_data_url(&audio_url, "audio")?;
        self.items.push(ContentItem::Audio { audio_url });
        Ok(self)
    }

    /// Adds audio from its bytes. `mime` is its media type, for example `audio/wav`.
    ///
    /// # Errors
    /// When the media type is not one of audio.
    pub fn with_audio_bytes(mut self, mime: &str, bytes: &[u8]) -> Result<Self, OutputError> {
        let audio_url = data_url("audio", mime, bytes)?;
        self.items.push(ContentItem::Audio { audio_url });
        Ok(self)
    }

    /// Marks the answer as failed, its items unchanged.
    #[must_use]
    pub fn failed(mut self) -> Self {
        self.success = false;
        self
    }

    /// The items in order.
    #[must_use]
    pub fn items(&self) -> &[ContentItem] {
        self.items.as_slice()
    }

    /// Whether the answer reports success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.success
    }

    pub(crate) fn as_wire(&self) -> WireOutput<'_> {
        WireOutput {
            content_items: self.items(),
            success: self.success,
        }
    }

    /// The texts of the answer, joined by line breaks.
    #[must_use]
    pub fn to_text(&self) -> Cow<'_, str> {
        if let [ContentItem::Text { text }] = self.items() {
            return Cow::Borrowed(text);
        }
        let texts: Vec<&str> = self
            .items()
            .iter()
            .filter_map(|item| match item {
                ContentItem::Text { text } => Some(text.as_str()),
                ContentItem::Image { .. } | ContentItem::Audio { .. } => None,
            })
            .collect();
        Cow::Owned(texts.join("\n"))
    }

    /// The bytes of all items together, without the JSON around them.
    #[must_use]
    pub fn content_len(&self) -> usize {
        self.items().iter().map(ContentItem::len).sum()
    }
}

impl fmt::Debug for SkillOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SkillOutput")
            .field("items", &self.items())
            .field("success", &self.success)
            .finish()
    }
}

impl Default for SkillOutput {
    fn default() -> Self {
        Self::new()
    }
}

/// Why an item cannot be part of an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The URL is not a data URL of the right media type.
    #[error(
        "`{start}` is not a `data:{kind}/…;base64,…` URL: codex takes inline data only; \
         read the file and use `with_{kind}_bytes`"
    )]
    NotADataUrl {
        /// `image` or `audio`.
        kind: &'static str,
        /// How the refused URL begins.
        start: String,
    },
    /// The data after the comma is not base64.
    #[error("the data of the {kind} is not base64: {reason}")]
    NotBase64 {
        /// `image` or `audio`.
        kind: &'static str,
        /// What the decoder says.
        reason: String,
    },
    /// The media type is not of the right kind.
    #[error("`{mime}` is not a media type of the form `{kind}/…`")]
    NotAMediaType {
        /// `image` or `audio`.
        kind: &'static str,
        /// The refused media type.
        mime: String,
    },
}

fn data_url(kind: &'static str, mime: &str, bytes: &[u8]) -> Result<String, OutputError> {
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && c != ',';
    mime.strip_prefix(kind)
        .and_then(|rest| rest.strip_prefix('/'))
        .filter(|rest| !rest.is_empty() && !rest.starts_with(';') && rest.chars().all(is_plain))
        .map(|_| format!("data:{mime};base64,{}", BASE64.encode(bytes)))
        .ok_or_else(|| OutputError::NotAMediaType {
            kind,
            mime: mime.to_owned(),
        })
}

fn check_data_url(url: &str, kind: &'static str) -> Result<(), OutputError> {
    let data = url
        .strip_prefix("data:")
        .and_then(|rest| rest.strip_prefix(kind))
        .filter(|rest| rest.starts_with('/'))
        .and_then(|rest| rest.split_once(','))
        .filter(|(media, _)| media.ends_with(";base64"))
        .map(|(_, data)| data)
        .ok_or_else(|| OutputError::NotADataUrl {
            kind,
            start: url.chars().take(40).collect(),
        })?;
    BASE64
        .decode(data)
        .map(drop)
        .map_err(|error| OutputError::NotBase64 {
            kind,
            reason: error.to_string(),
        })
}

/// Why a call has no proper answer. The dispatcher turns it into a failed [`SkillOutput`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkillFailure {
    pub(crate) kind: FailureKind,
    pub(crate) message: String,
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    Arguments,
    Handler,
}

impl SkillFailure {
    pub(crate) fn arguments(message: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Arguments,
            message: message.into(),
        }
    }

    pub(crate) fn handler(message: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Handler,
            message: message.into(),
        }
    }
}

impl fmt::Display for SkillFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SkillFailure {}
