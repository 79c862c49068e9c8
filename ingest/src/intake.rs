//! Raw body to validated fields, exactly as Django REST framework would.
//!
//! A body is read once, as [`form`], [`json`] or [`multipart`], into
//! [`fields::RawFields`], which borrow from it (a [`batch`] is cut into its items first); each field then becomes a type
//! of `shared::event` that cannot be wrong. Everything here is a pure function
//! of its input. The facts come from Django 5.2 and DRF 3.18 on Python 3.11;
//! `tests/differential` compares this module with the real ones and lists
//! the deviations, with their reasons.

mod batch;
mod content_type;
mod date;
mod fields;
mod form;
mod form_body;
mod id;
mod json;
mod multipart;
mod number;
mod rejection;
mod text;

use bytes::Bytes;
use bytestring::ByteString;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use shared::event::{EventDate, EventId, PagePath, Referer};

pub use batch::{Batch, BatchRejection, Item, ItemRejection, RejectedItem};
pub use content_type::{BatchFormat, BodyFormat};
pub use form_body::FormBody;
pub use rejection::{FieldErrors, Rejection};

use batch::ITEM_BYTES_MAX;
use date::DateField;
use fields::RawFields;
use rejection::Messages;
use text::Source;

/// What the operator decides about fields.
#[derive(Clone, Debug)]
pub struct IntakeConfig {
    /// For dates without an offset.
    pub time_zone: Tz,
    /// Longest referer, in code points.
    pub referer_characters_max: usize,
}

/// Turns bodies and query strings into [`LogFields`].
#[derive(Clone, Debug)]
pub struct Intake {
    date: DateField,
    referer_characters_max: usize,
}

/// The validated fields of one activity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFields {
    /// Sent by the client, or made here.
    pub id: EventId,
    pub date: EventDate,
    pub path: PagePath,
    pub referer: Referer,
}

impl Intake {
    #[must_use]
    pub fn new(config: IntakeConfig) -> Self {
        Self { date: DateField::new(config.time_zone), referer_characters_max: config.referer_characters_max }
    }

    /// The fields of a log request; `referer_header` stands in for an absent, empty or null path.
    pub fn log(
        &self,
        format: &BodyFormat,
        body: &Bytes,
        referer_header: Option<&[u8]>,
    ) -> Result<LogFields, Rejection> {
        let mut fields = match format {
            BodyFormat::Form => form::parse_body(body)?,
            BodyFormat::Json => json::parse(body)?,
            BodyFormat::Plain if json::looks_like_an_object(body) => json::parse(body)?,
            BodyFormat::Plain => form::parse_body(body)?,
            BodyFormat::Multipart { boundary } => multipart::parse(body, boundary)?,
        };
        fields.fall_back_to_header(referer_header);
        self.validate(self.date.validate(&fields.date), fields, Source::NONE)
    }

    /// The fields of a pixel's query string; an absent date is `now`, unless an id is given.
    pub fn pixel(
        &self,
        query: &str,
        referer_header: Option<&[u8]>,
        now: DateTime<Utc>,
    ) -> Result<LogFields, Rejection> {
        let mut fields = form::parse(query)?;
        fields.fall_back_to_header(referer_header);
        let is_of_now = fields.date.is_absent_or_empty() && fields.id.is_absent_or_empty();
        let date = if is_of_now { date::in_range(now) } else { self.date.validate(&fields.date) };
        self.validate(date, fields, Source::NONE)
    }

    /// The good and the bad items of a batch.
    ///
    /// # Errors
    /// The batch as a whole is refused: it is empty, too many, or no JSON array.
    pub fn batch(&self, format: BatchFormat, body: &Bytes) -> Result<Batch, BatchRejection> {
        let mut batch = Batch::default();
        // What is not UTF-8 spoils its item only.
        let text = ByteString::try_from(body.clone()).ok();
        for (index, json) in batch::split(format, body)?.into_iter().enumerate() {
            match self.item(json, Source(text.as_ref())) {
                Ok(item) => batch.items.push(item),
                Err(reason) => batch.rejected.push(RejectedItem { index, reason }),
            }
        }
        Ok(batch)
    }

    fn item(&self, json: &[u8], source: Source<'_>) -> Result<Item, ItemRejection> {
        if json.len() > ITEM_BYTES_MAX {
            return Err(ItemRejection::TooLarge);
        }
        let mut fields = json::parse(json)?;
        let identity = batch::identity(std::mem::take(&mut fields.identity), source);
        let fields = self.validate(self.date.validate(&fields.date), fields, source)?;
        Ok(Item { fields, identity })
    }

    fn validate(
        &self,
        date: Result<EventDate, Messages>,
        fields: RawFields<'_>,
        source: Source<'_>,
    ) -> Result<LogFields, Rejection> {
        let path = text::path(fields.path, source);
        let referer = text::referer(fields.referer, self.referer_characters_max, source);
        let id = id::validate(&fields.id);
        match (date, path, referer, id) {
            (Ok(date), Ok(path), Ok(referer), Ok(id)) => {
                Ok(LogFields { id: id.unwrap_or_else(EventId::generate), date, path, referer })
            }
            (date, path, referer, id) => {
                Err(Rejection::Invalid(FieldErrors::collect(date.err(), path.err(), referer.err(), id.err())))
            }
        }
    }
}

/// A date as the endpoint reads it, `time_zone` being that of texts without an offset.
#[must_use]
pub fn date_of_text(text: &str, time_zone: Tz) -> Option<EventDate> {
    date::of_text(text, time_zone)
}

#[cfg(test)]
mod tests;
