//! What intake does differently on purpose, and why.

use super::outcome::Outcome;
use super::request::Request;

pub(crate) struct Deviation {
    pub(crate) reason: &'static str,
    explains: fn(&Request, &Outcome, &Outcome) -> bool,
}

/// Beside these: errors that concern no field come as `detail`, and the detail
/// of a body that cannot be parsed does not go on with the parser's own words.
const DEVIATIONS: &[Deviation] = &[
    Deviation {
        reason: "an instant outside the years 1 to 9999 is out of range, where DRF may answer 500",
        explains: |_, reference, ours| {
            *reference == Outcome::Crash("OverflowError".to_owned())
                && ours.messages("date") == ["Datetime value out of range."]
        },
    },
    Deviation {
        reason: "invalid UTF-8 in forms is refused, where Django replaces it or takes Latin-1",
        explains: |request, _, ours| {
            let is_form = matches!(ours, Outcome::Malformed(detail) if detail.contains("orm parse error"));
            is_form && !is_plain(request)
        },
    },
    Deviation {
        reason: "a charset other than UTF-8 is unsupported",
        explains: |request, _, ours| {
            *ours == Outcome::UnsupportedMediaType && request.content_type().contains("charset")
        },
    },
    Deviation {
        reason: "a body declared as US-ASCII is read as UTF-8, which contains it",
        explains: |request, _, _| request.content_type().ends_with("charset=us-ascii") && !is_plain(request),
    },
    Deviation {
        reason: "the content type is checked before the body is read, also of an empty one",
        explains: |request, _, ours| *ours == Outcome::UnsupportedMediaType && request.bytes().is_empty(),
    },
    Deviation {
        reason: "JSON ends at a depth of 128, not where Python's stack does",
        explains: |request, _, ours| {
            let open = request.bytes().iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
            is_json_error(ours) && open > 128
        },
    },
    Deviation {
        reason: "JSON that ends within a UTF-8 sequence is refused, where Python drops its last bytes",
        explains: |request, _, ours| {
            // Such an error has no length.
            let end = std::str::from_utf8(request.bytes()).map_err(|error| error.error_len());
            is_json_error(ours) && end == Err(None)
        },
    },
    Deviation {
        reason: "integers of more than 4300 digits are judged by their field, not by the JSON parser",
        explains: |request, reference, _| is_json_error(reference) && longest_digits(request.bytes()) > 4300,
    },
    Deviation {
        reason: "`iso-8601` is no date (DRF takes the name of the format for the 1st of January 1900)",
        explains: |request, _, ours| {
            is_wrong_date(ours) && request.bytes().windows(4).any(|window| window == b"8601")
        },
    },
    Deviation {
        reason: "a date with a lone surrogate is refused, where Python takes one as the separator",
        explains: |request, _, ours| is_wrong_date(ours) && names_surrogate(request.bytes()),
    },
    Deviation {
        reason: "an id has hexadecimal digits only, where Python's int() also takes signs, spaces, \
                 underscores, 0x and digits of other scripts",
        explains: |_, reference, ours| {
            ours.messages("id") == ["Must be a valid UUID."] && reference.messages("id").is_empty()
        },
    },
    Deviation {
        reason: "a Referer header that is not ASCII is read as UTF-8, not as Latin-1",
        explains: |request, _, _| request.referer_header.as_ref().is_some_and(|header| !header.is_ascii()),
    },
    Deviation {
        reason: "a multipart body that lacks its boundary or end is refused, where Django reads on",
        explains: |request, _, ours| {
            matches!(ours, Outcome::Malformed(detail) if detail == "Multipart form parse error")
                && !ends_with_its_boundary(request)
        },
    },
    Deviation {
        reason: "a form of more than 1000 fields gets a detail of DRF's kind",
        explains: |_, reference, ours| {
            matches!(reference, Outcome::Malformed(detail) if detail == "TooManyFieldsSent")
                && matches!(ours, Outcome::Malformed(_))
        },
    },
];

impl Deviation {
    pub(crate) fn explain(request: &Request, reference: &Outcome, ours: &Outcome) -> Option<&'static Self> {
        DEVIATIONS.iter().find(|deviation| (deviation.explains)(request, reference, ours))
    }
}

fn is_json_error(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Malformed(detail) if detail.starts_with("JSON parse error"))
}

/// Whether no byte beyond ASCII was sent, not even encoded.
fn is_plain(request: &Request) -> bool {
    request.bytes().is_ascii() && !request.bytes().contains(&b'%')
}

fn is_wrong_date(outcome: &Outcome) -> bool {
    outcome.messages("date").iter().any(|message| message.starts_with("Datetime has wrong format."))
}

fn longest_digits(bytes: &[u8]) -> usize {
    bytes.split(|byte| !byte.is_ascii_digit()).map(<[u8]>::len).max().unwrap_or(0)
}

fn names_surrogate(bytes: &[u8]) -> bool {
    bytes.windows(4).any(|window| window[..2] == *b"\\u" && matches!(window[2], b'd' | b'D'))
}

fn ends_with_its_boundary(request: &Request) -> bool {
    let boundary = request.content_type().split("oundary=").nth(1).unwrap_or_default();
    let end = format!("--{}--", boundary.trim_matches('"'));
    request.bytes().windows(end.len()).any(|window| window == end.as_bytes())
}
