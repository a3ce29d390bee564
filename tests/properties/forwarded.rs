//! `Forwarded` (RFC 7239): what a client writes in front of a proxy's element cannot change that element, and a naive reader agrees.

use pushlab::proto::http1::{ForwardedElement, Node, Scheme};

use super::input::Input;

/// The parameters of an element, by their names in small letters.
type Pairs = Vec<(String, Vec<u8>)>;

fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Takes the value apart: first the bytes that are inside of quotation marks, then the elements and pairs that the other commas and
/// semicolons divide. `None` if it is not a list.
fn read_naively(value: &[u8]) -> Option<Vec<Pairs>> {
    let (mut inside, mut escaped, mut parts) = (false, false, vec![vec![Vec::new()]]);
    for &byte in value {
        let part = parts.last_mut()?;
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            b',' if !inside => {
                parts.push(vec![Vec::new()]);
                continue;
            }
            b';' if !inside => {
                part.push(Vec::new());
                continue;
            }
            _ => {}
        }
        part.last_mut()?.push(byte);
    }
    if inside {
        return None;
    }
    let trim = |text: &[u8]| {
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
        let start = text.iter().position(|byte| !is_space(byte)).unwrap_or(text.len());
        let end = text.iter().rposition(|byte| !is_space(byte)).map_or(start, |at| at + 1);
        text[start..end].to_vec()
    };
    let mut list = Vec::new();
    for part in parts {
        if let [only] = &part[..]
            && trim(only).is_empty()
        {
            continue;
        }
        let mut pairs = Pairs::new();
        for text in part.iter().map(|text| trim(text)).filter(|text| !text.is_empty()) {
            let equals = text.iter().position(|byte| *byte == b'=')?;
            let (name, value) = (&text[..equals], &text[equals + 1..]);
            if name.is_empty() || value.is_empty() || !name.iter().copied().all(is_tchar) {
                return None;
            }
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            if pairs.iter().any(|(other, _)| *other == name) {
                return None;
            }
            pairs.push((name, unquote(value)?));
        }
        list.push(pairs);
    }
    Some(list)
}

/// A token as it is, or the content of a quoted string.
fn unquote(value: &[u8]) -> Option<Vec<u8>> {
    let is_text = |byte: u8| byte == b'\t' || byte >= b' ' && byte != 0x7F;
    let [b'"', inner @ .., b'"'] = value else { return value.iter().copied().all(is_tchar).then(|| value.to_vec()) };
    let (mut text, mut bytes) = (Vec::new(), inner.iter().copied());
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'"' => return None,
            b'\\' => bytes.next()?,
            _ => byte,
        };
        if !is_text(byte) {
            return None;
        }
        text.push(byte);
    }
    Some(text)
}

/// The same facts from the naive reader's pairs. `None` if a node is not one.
fn element(pairs: &Pairs) -> Option<ForwardedElement<'static>> {
    let value = |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    if let Some(by) = value("by") {
        Node::parse(&by)?;
    }
    let node = match value("for") {
        Some(text) => Some(Node::parse(&text)?),
        None => None,
    };
    let proto = value("proto").and_then(|name| match &*name.to_ascii_lowercase() {
        b"https" | b"wss" => Some(Scheme::Https),
        b"http" | b"ws" => Some(Scheme::Http),
        _ => None,
    });
    Some(ForwardedElement { node, proto, host: value("host").map(Into::into) })
}

/// Reads any value as the naive reader does. Then lets a proxy append an element: the value is broken as a whole, or its last element is
/// the proxy's, and the others are as before.
pub(super) fn cannot_hide_an_element(data: &[u8]) {
    let mut input = Input::new(data);
    // The client chooses `Host`, too, of which a proxy that checks it passes on only the bytes of a host.
    let is_host_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%:[]".contains(byte);
    let host: Vec<u8> = input.some_bytes().iter().copied().filter(is_host_byte).collect();
    let order = input.below(4);
    let sent = input.rest();
    let read = ForwardedElement::parse_list(sent);
    let naive = read_naively(sent).and_then(|list| list.iter().map(element).collect::<Option<Vec<_>>>());
    assert_eq!(read, naive, "{}", sent.escape_ascii());

    let (host, node, proto) = ([b"host=\"", &host[..], b"\""].concat(), b"for=\"[2001:db8::17]:47011\"".to_vec(), b"proto=https".to_vec());
    let own = match order {
        0 => vec![node, proto, host],
        1 => vec![host, node, proto],
        2 => vec![proto, host, node],
        _ => vec![b"for=192.0.2.43".to_vec(), host, b"by=\"[2001:db8::1]\"".to_vec()],
    };
    let own = own.join(&b';');
    let whole = [sent, b", ", &own].concat();
    let appended = ForwardedElement::parse_list(&own).expect("a proxy's own element");
    assert_eq!(appended.len(), 1);
    match (ForwardedElement::parse_list(&whole), read) {
        (Some(list), Some(mut before)) => {
            before.extend(appended);
            assert_eq!(list, before, "{}", whole.escape_ascii());
        }
        (None, None) => {}
        (whole, read) => panic!("{read:?} became {whole:?}"),
    }
}
