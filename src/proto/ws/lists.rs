//! The lists of the opening handshake (RFC 6455, sections 4.3 and 9.1; RFC 9110, section 5.6.1).
//!
//! Owns what an element of them may look like. Refuses to give a meaning to extensions: there are none here, and what is offered is declined.

/// Whether the fields of one name make up the list that they must be, as far as they have been looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ListGrammar {
    is_given: bool,
    has_element: bool,
    has_bad_element: bool,
}

impl ListGrammar {
    /// Takes the value of a field: several are one list.
    pub(super) fn add(&mut self, value: &[u8], is_element: fn(&[u8]) -> bool) {
        self.is_given = true;
        for element in elements(value).filter(|element| !element.is_empty()) {
            self.has_element = true;
            self.has_bad_element |= !is_element(element);
        }
    }

    /// Whether this is a list that must not be. Empty elements do not count, and a list that is given has at least one that does ("1#").
    pub(super) const fn is_broken(self) -> bool {
        self.has_bad_element || self.is_given && !self.has_element
    }
}

/// The elements of a comma-separated list, empty ones included.
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    split(value, b',')
}

/// `1*<any CHAR except CTLs or separators>` (RFC 2616, section 2.2, which RFC 6455 takes it from; RFC 9110 has the same).
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(byte))
}

/// `extension-token *( ";" extension-param )`, where a parameter is `token [ "=" (token | quoted-string) ]`.
///
/// What is quoted must be a token, too, so that no comma or semicolon of a good list stands between quotes.
pub(super) fn is_extension(element: &[u8]) -> bool {
    let mut parts = split(element, b';');
    parts.next().is_some_and(is_token) && parts.all(is_parameter)
}

fn is_parameter(text: &[u8]) -> bool {
    let mut halves = text.splitn(2, |byte| *byte == b'=').map(trim);
    halves.next().is_some_and(is_token) && halves.next().is_none_or(|value| is_token(value) || is_quoted_token(value))
}

/// "When using the quoted-string syntax variant, the value after quoted-string unescaping MUST conform to the 'token' ABNF."
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
