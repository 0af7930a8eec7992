//! Answers of handlers: text, images and audio, or a failure that the model can act on.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use crate::withheld;

/// Time that a program in code mode waits for a call before the model goes on (contract §2.5).
pub(crate) const CODE_MODE_WAITS: Duration = Duration::from_secs(30);

/// Bytes of an answer's texts that codex shows its model in direct mode, unless its configuration or its model says
/// otherwise (contract §2.2).
pub(crate) const SHOWN_BYTES: usize = 12_000;

/// Returns the bytes that codex shows with a `tool_output_token_limit`: as measured, 4.8 for each token.
pub(crate) fn bytes_of_tokens(tokens: u64) -> usize {
    usize::try_from(tokens.saturating_mul(48) / 10).unwrap_or(usize::MAX)
}

/// Text that the model reads in place of an empty or blank one.
const BLANK: &str = "(empty text)";

/// One item of an answer, as codex takes it.
///
/// ```
/// use codex_skills::{ContentItem, SkillOutput};
///
/// let output = SkillOutput::text("hello");
/// for item in output.items() {
///     match item {
///         ContentItem::Text { text } => println!("{text}"),
///         other => println!("{} bytes", other.len()),
///     }
/// }
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// Without the content, of which the size is shown.
impl fmt::Debug for ContentItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Text { .. } => "Text",
            Self::Image { .. } => "Image",
            Self::Audio { .. } => "Audio",
        };
        f.debug_tuple(kind)
            .field(&withheld::Bytes(self.len()))
            .finish()
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
    ///
    /// ```
    /// let output = codex_skills::SkillOutput::text("It is open.");
    /// assert_eq!(output.to_text(), "It is open.");
    /// ```
    pub fn text(text: impl Into<String>) -> Self {
        Self::new().with_text(text)
    }

    /// A failed answer. Say in the text that it failed and what would help: the model sees nothing else.
    ///
    /// ```
    /// use codex_skills::SkillOutput;
    ///
    /// let output = SkillOutput::failure("The printer is out of paper: ask the user to fill it.");
    /// assert!(!output.is_success());
    /// ```
    pub fn failure(text: impl Into<String>) -> Self {
        Self {
            items: Items::One(ContentItem::text(text)),
            success: false,
        }
    }

    /// Adds a text.
    ///
    /// ```
    /// use codex_skills::SkillOutput;
    ///
    /// let output = SkillOutput::text("Found 2:").with_text("ABC-1").with_text("ABC-2");
    /// assert_eq!(output.to_text(), "Found 2:\nABC-1\nABC-2");
    /// ```
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.items.push(ContentItem::text(text));
        self
    }

    /// Adds an image given as a data URL.
    ///
    /// # Errors
    /// When it is not a `data:image/…;base64,…` URL of a PNG, JPEG, GIF or WebP image, judged by its media type and
    /// by its first bytes: codex refuses remote images, and leaves out silently what it cannot decode.
    pub fn with_image(mut self, data_url: impl Into<String>) -> Result<Self, OutputError> {
        let image_url = data_url.into();
        let (mime, bytes) = read_data_url(&image_url, "image")?;
        check_image(mime, &bytes)?;
        self.items.push(ContentItem::Image { image_url });
        Ok(self)
    }

    /// Adds an image from its bytes. `mime` is its media type, for example `image/png`.
    ///
    /// ```
    /// use codex_skills::{OutputError, SkillOutput};
    ///
    /// let png = [0x89, b'P', b'N', b'G'];
    /// let output = SkillOutput::new().with_image_bytes("image/png", &png)?;
    /// assert_eq!(output.items().len(), 1);
    /// # Ok::<(), OutputError>(())
    /// ```
    ///
    /// # Errors
    /// When the media type is not that of PNG, JPEG, GIF or WebP, which are what codex shows, or the bytes are not
    /// such an image.
    pub fn with_image_bytes(mut self, mime: &str, bytes: &[u8]) -> Result<Self, OutputError> {
        let image_url = data_url("image", mime, bytes)?;
        check_image(mime, bytes)?;
        self.items.push(ContentItem::Image { image_url });
        Ok(self)
    }

    /// Adds audio given as a data URL.
    ///
    /// # Errors
    /// When it is not a `data:audio/…;base64,…` URL: codex takes nothing else.
    pub fn with_audio(mut self, data_url: impl Into<String>) -> Result<Self, OutputError> {
        let audio_url = data_url.into();
        let (_, bytes) = read_data_url(&audio_url, "audio")?;
        check_not_empty("audio", &bytes)?;
        self.items.push(ContentItem::Audio { audio_url });
        Ok(self)
    }

    /// Adds audio from its bytes. `mime` is its media type, for example `audio/wav`.
    ///
    /// ```
    /// use codex_skills::{OutputError, SkillOutput};
    ///
    /// let output = SkillOutput::text("The message:").with_audio_bytes("audio/wav", b"RIFF")?;
    /// assert_eq!(output.items().len(), 2);
    /// # Ok::<(), OutputError>(())
    /// ```
    ///
    /// # Errors
    /// When the media type is not one of audio, or there are no bytes.
    pub fn with_audio_bytes(mut self, mime: &str, bytes: &[u8]) -> Result<Self, OutputError> {
        let audio_url = data_url("audio", mime, bytes)?;
        check_not_empty("audio", bytes)?;
        self.items.push(ContentItem::Audio { audio_url });
        Ok(self)
    }

    /// Marks the answer as failed, its items unchanged.
    ///
    /// ```
    /// use codex_skills::SkillOutput;
    ///
    /// let output = SkillOutput::text("2 of 3 were sent, and the third not.").failed();
    /// assert!(!output.is_success());
    /// ```
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

    /// The same with a word for each blank text: codex drops them, and some providers refuse the whole request.
    pub(crate) fn without_blank_texts(mut self) -> Self {
        let items = match &mut self.items {
            Items::One(item) => std::slice::from_mut(item),
            Items::Several(items) => items.as_mut_slice(),
        };
        for item in items {
            if let ContentItem::Text { text } = item
                && text.trim().is_empty()
            {
                BLANK.clone_into(text);
            }
        }
        self
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
///
/// ```
/// use codex_skills::{OutputError, SkillOutput};
///
/// let refused = SkillOutput::new().with_image("https://example.org/chart.png");
/// assert!(matches!(refused, Err(OutputError::NotADataUrl { .. })));
/// ```
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
    /// Codex shows no images of the media type.
    #[error(
        "codex shows no images of the type `{mime}`, but leaves them out: make it PNG, JPEG, GIF or WebP"
    )]
    NotShown {
        /// The refused media type.
        mime: String,
    },
    /// The first bytes are not those of an image of the media type.
    #[error("the data is not an image of the type `{mime}`: {found}")]
    NotOfItsType {
        /// The declared media type.
        mime: String,
        /// What the bytes are.
        found: &'static str,
    },
    /// There is no data.
    #[error("the data of the {kind} is empty")]
    Empty {
        /// `image` or `audio`.
        kind: &'static str,
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

/// The media type and the bytes of a data URL.
fn read_data_url<'a>(url: &'a str, kind: &'static str) -> Result<(&'a str, Vec<u8>), OutputError> {
    let (mime, data) = url
        .strip_prefix("data:")
        .filter(|rest| {
            let rest = rest.strip_prefix(kind);
            rest.is_some_and(|rest| rest.starts_with('/'))
        })
        .and_then(|rest| rest.split_once(','))
        .and_then(|(media, data)| Some((media.strip_suffix(";base64")?, data)))
        .ok_or_else(|| OutputError::NotADataUrl {
            kind,
            start: url.chars().take(40).collect(),
        })?;
    match BASE64.decode(data) {
        Ok(bytes) => Ok((mime, bytes)),
        Err(error) => Err(OutputError::NotBase64 {
            kind,
            reason: error.to_string(),
        }),
    }
}

fn check_not_empty(kind: &'static str, bytes: &[u8]) -> Result<(), OutputError> {
    if bytes.is_empty() {
        return Err(OutputError::Empty { kind });
    }
    Ok(())
}

/// An image that codex shows: its media types, the first of them the usual one, and its name.
struct ImageKind {
    mimes: &'static [&'static str],
    name: &'static str,
    begins: fn(&[u8]) -> bool,
}

const IMAGE_KINDS: [ImageKind; 4] = [
    ImageKind {
        mimes: &["image/png"],
        name: "it is a PNG image",
        begins: |bytes| bytes.starts_with(b"\x89PNG"),
    },
    ImageKind {
        mimes: &["image/jpeg", "image/jpg"],
        name: "it is a JPEG image",
        begins: |bytes| bytes.starts_with(b"\xff\xd8\xff"),
    },
    ImageKind {
        mimes: &["image/gif"],
        name: "it is a GIF image",
        begins: |bytes| bytes.starts_with(b"GIF8"),
    },
    ImageKind {
        mimes: &["image/webp"],
        name: "it is a WebP image",
        begins: |bytes| bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP"),
    },
];

/// Refuses what codex would leave out.
fn check_image(mime: &str, bytes: &[u8]) -> Result<(), OutputError> {
    let (essence, _) = mime.split_once(';').unwrap_or((mime, ""));
    let essence = essence.trim().to_ascii_lowercase();
    let kind = IMAGE_KINDS
        .iter()
        .find(|kind| kind.mimes.contains(&essence.as_str()))
        .ok_or_else(|| OutputError::NotShown {
            mime: mime.chars().take(80).collect(),
        })?;
    check_not_empty("image", bytes)?;
    if (kind.begins)(bytes) {
        return Ok(());
    }
    let found = IMAGE_KINDS.iter().find(|kind| (kind.begins)(bytes));
    Err(OutputError::NotOfItsType {
        mime: mime.chars().take(80).collect(),
        found: found.map_or("it begins like no image that codex shows", |kind| kind.name),
    })
}

/// Why a call has no proper answer. A session turns it into a failed [`SkillOutput`].
#[derive(Clone, PartialEq, Eq)]
pub struct SkillFailure {
    pub(crate) kind: FailureKind,
    pub(crate) message: String,
}

/// Origin of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    Arguments,
    Handler,
    /// Of the handler, which answered in part.
    Partly,
}

impl SkillFailure {
    pub(crate) fn arguments(message: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Arguments,
            message: message.into(),
        }
    }

    /// A failure with all that was answered, which is as long as an answer may be.
    pub(crate) fn partly(message: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Partly,
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

/// Without the message, of which the size is shown: it may repeat what the model wrote.
impl fmt::Debug for SkillFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SkillFailure")
            .field("kind", &self.kind)
            .field("message", &withheld::text(&self.message))
            .finish()
    }
}

impl fmt::Display for SkillFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SkillFailure {}
