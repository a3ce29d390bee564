//! The lists of the opening handshake (RFC 6455, sections 4.3 and 9.1; RFC 9110, section 5.6.1).
//!
//! Owns the grammar of these lists and of their elements. Leaves the meaning of the elements to the
//! handshake, and the parameters of permessage-deflate to `extension`.

/// Whether the fields of one name, as far as they have been seen, form a list that follows its
/// grammar.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ListGrammar {
    is_given: bool,
    has_element: bool,
    has_bad_element: bool,
}

impl ListGrammar {
    /// Takes the value of a field. Several fields form one list.
    pub(super) fn add(&mut self, value: &[u8], is_element: fn(&[u8]) -> bool) {
        self.is_given = true;
        for element in elements(value).filter(|element| !element.is_empty()) {
            self.has_element = true;
            self.has_bad_element |= !is_element(element);
        }
    }

    /// Whether the list violates its grammar. Empty elements are ignored. A list that is present
    /// has at least one element that is not empty ("1#").
    pub(super) const fn is_broken(self) -> bool {
        self.has_bad_element || self.is_given && !self.has_element
    }
}

/// The elements of a comma-separated list, including empty ones.
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    split(value, b',')
}

/// Whether this is `1*<any CHAR except CTLs or separators>`. RFC 6455 takes this rule from RFC
/// 2616, section 2.2. RFC 9110 has the same rule.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(byte))
}

/// Whether this is `extension-token *( ";" extension-param )`. A parameter is `token [ "=" (token |
/// quoted-string) ]`.
///
/// A quoted value must be a token too. So a valid list has no comma and no semicolon between
/// quotes, and the list can be split at these bytes.
pub(super) fn is_extension(element: &[u8]) -> bool {
    let mut parts = split(element, b';');
    parts.next().is_some_and(is_token) && parts.all(is_parameter)
}

/// The name and the value of each part of an extension: of the extension itself, which has no
/// value, and of its parameters. The value may be in quotes.
#[cfg(feature = "deflate")]
pub(super) fn parameters(element: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    split(element, b';').map(|part| {
        let mut halves = part.splitn(2, |byte| *byte == b'=').map(trim);
        (halves.next().unwrap_or_default(), halves.next())
    })
}

/// The value of a parameter without its quotes.
#[cfg(feature = "deflate")]
pub(super) fn unquoted(value: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    let [b'"', inside @ .., b'"'] = value else { return value.into() };
    let mut unescaped = Vec::with_capacity(inside.len());
    let mut bytes = inside.iter();
    while let Some(byte) = bytes.next() {
        unescaped.extend(if *byte == b'\\' { bytes.next() } else { Some(byte) });
    }
    unescaped.into()
}

fn is_parameter(text: &[u8]) -> bool {
    let mut halves = text.splitn(2, |byte| *byte == b'=').map(trim);
    halves.next().is_some_and(is_token) && halves.next().is_none_or(|value| is_token(value) || is_quoted_token(value))
}

/// Whether this is a quoted token. "When using the quoted-string syntax variant, the value after
/// quoted-string unescaping MUST conform to the 'token' ABNF."
fn is_quoted_token(text: &[u8]) -> bool {
    let [b'"', inside @ .., b'"'] = text else { return false };
    let (mut rest, mut len) = (inside, 0);
    while let [first, after @ ..] = rest {
        let (character, after) = match (first, after) {
            (b'\\', [escaped, after @ ..]) => (escaped, after),
            _ => (first, after),
        };
        if !is_token(std::slice::from_ref(character)) {
            return false;
        }
        rest = after;
        len += 1;
    }
    len > 0
}

fn split(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    text.split(move |byte| *byte == separator).map(trim)
}

fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}
