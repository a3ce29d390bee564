//! A second reader of HTTP/1.1 requests, which shares no code with the library and none with the parser that the library uses.
//!
//! It follows the grammar of RFC 9112 word by word, copies everything, and reads only what is whole. Either to the letter, or with every leniency
//! that the RFC grants a recipient: what the library accepts, the most lenient one must not read in another way.

use std::str::from_utf8;

/// One request as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub is_http10: bool,
    pub fields: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    /// Where it ends in the input.
    pub end: usize,
}

/// Why no more requests are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The rest may be the beginning of one.
    Incomplete,
    Broken,
    /// A chunk extension is broken or in quotes. A lenient reader pays no attention to them.
    OddExtension,
}

/// All requests that stand whole in the input.
pub fn read(input: &[u8], lenient: bool) -> (Vec<Request>, Stop) {
    let (mut reader, mut requests) = (Reader { input, at: 0, lenient }, Vec::new());
    loop {
        match reader.request() {
            Ok(request) => requests.push(request),
            Err(stop) => return (requests, stop),
        }
    }
}

struct Reader<'a> {
    input: &'a [u8],
    at: usize,
    lenient: bool,
}

fn is_tchar(byte: u8) -> bool {
    b"!#$%&'*+-.^_`|~".contains(&byte) || byte.is_ascii_alphanumeric()
}

fn token(text: &[u8]) -> Result<String, Stop> {
    if text.is_empty() || !text.iter().copied().all(is_tchar) { Err(Stop::Broken) } else { Ok(from_utf8(text).unwrap().to_owned()) }
}

/// Without optional white space around it (RFC 9110, section 5.6.3).
fn ows(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

fn require(holds: bool) -> Result<(), Stop> {
    if holds { Ok(()) } else { Err(Stop::Broken) }
}

impl Reader<'_> {
    /// Section 2.2: CRLF ends a line, "a recipient MAY recognize a single LF as a line terminator".
    fn line(&mut self) -> Result<Vec<u8>, Stop> {
        let rest = &self.input[self.at..];
        let len = rest.iter().position(|byte| *byte == b'\n').ok_or(Stop::Incomplete)?;
        self.at += len + 1;
        match rest[..len].split_last() {
            Some((b'\r', line)) => Ok(line.to_vec()),
            _ if self.lenient => Ok(rest[..len].to_vec()),
            _ => Err(Stop::Broken),
        }
    }

    fn request(&mut self) -> Result<Request, Stop> {
        let mut line = self.line()?;
        let mut empty_lines = 0;
        // "SHOULD ignore at least one empty line (CRLF) received prior to the request-line" (section 2.2).
        while line.is_empty() && (self.lenient || empty_lines < 4) {
            empty_lines += 1;
            line = self.line()?;
        }
        // Section 3: "recipients MAY instead parse on whitespace-delimited word boundaries".
        let is_space = |byte: &u8| if self.lenient { matches!(byte, b' ' | b'\t' | 0x0B | 0x0C | b'\r') } else { *byte == b' ' };
        let words: Vec<_> = line.split(is_space).filter(|word| !self.lenient || !word.is_empty()).collect();
        let [method, target, version] = words[..] else { return Err(Stop::Broken) };
        let &[b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9'] = version else { return Err(Stop::Broken) };
        require(!target.is_empty() && target.iter().all(u8::is_ascii_graphic))?;
        let (method, target, is_http10) = (token(method)?, from_utf8(target).unwrap().to_owned(), minor == b'0');
        let fields = self.fields()?;
        let named = |name: &str| {
            fields.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| &value[..]).collect::<Vec<_>>()
        };
        let hosts = named("Host").len();
        require(hosts == 1 || is_http10 && hosts == 0)?;
        let (lengths, codings) = (named("Content-Length"), named("Transfer-Encoding").join(&b','));
        let body = match (&lengths[..], named("Transfer-Encoding").is_empty()) {
            ([], true) => Vec::new(),
            (_, true) => self.sized(&lengths)?,
            (_, false) => {
                // Section 6.1: a request with both, or a coding in HTTP/1.0, may be an attempt at smuggling. Without a last "chunked" its length
                // "cannot be determined reliably" (section 6.3). Empty elements of a list do not count (RFC 9110, section 5.6.1).
                let mut codings = codings.split(|byte| *byte == b',').map(ows).filter(|coding| !coding.is_empty());
                require(lengths.is_empty() && !is_http10)?;
                require(codings.next_back().is_some_and(|last| last.eq_ignore_ascii_case(b"chunked")))?;
                require(!codings.any(|coding| coding.eq_ignore_ascii_case(b"chunked")))?;
                self.chunked()?
            }
        };
        Ok(Request { method, target, is_http10, fields, body, end: self.at })
    }

    /// Section 5: `field-name ":" OWS field-value OWS` up to an empty line.
    fn fields(&mut self) -> Result<Vec<(String, Vec<u8>)>, Stop> {
        let mut fields: Vec<(String, Vec<u8>)> = Vec::new();
        loop {
            let line = self.line()?;
            let colon = line.iter().position(|byte| *byte == b':');
            match (&line[..], colon, fields.last_mut()) {
                ([], ..) => return Ok(fields),
                // Section 5.2: a recipient may "replace each received obs-fold with one or more SP".
                ([b' ' | b'\t', ..], _, Some(last)) if self.lenient => last.1.extend([b" ", ows(&line)].concat()),
                (_, Some(colon), _) => {
                    let value = ows(&line[colon + 1..]).to_vec();
                    require(value.iter().all(|byte| *byte == b'\t' || *byte >= b' ' && *byte != 0x7F))?;
                    fields.push((token(&line[..colon])?, value));
                }
                _ => return Err(Stop::Broken),
            }
        }
    }

    /// Section 6.3: "if all values in the list are identical", they may count as one.
    fn sized(&mut self, lengths: &[&[u8]]) -> Result<Vec<u8>, Stop> {
        let list = lengths.join(&b',');
        let mut values = list.split(|byte| *byte == b',').map(ows);
        let first = values.next().unwrap();
        require(!first.is_empty() && first.iter().all(u8::is_ascii_digit) && values.all(|value| self.lenient && value == first))?;
        let length: u64 = from_utf8(first).unwrap().parse().map_err(|_| Stop::Broken)?;
        self.take(length)
    }

    fn take(&mut self, length: u64) -> Result<Vec<u8>, Stop> {
        let length = usize::try_from(length).map_err(|_| Stop::Incomplete)?;
        let taken = self.input[self.at..].get(..length).ok_or(Stop::Incomplete)?;
        self.at += length;
        Ok(taken.to_vec())
    }

    /// Section 7.1.
    fn chunked(&mut self) -> Result<Vec<u8>, Stop> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
            require(digits > 0)?;
            if !self.lenient && !is_plain_extension(&line[digits..]) {
                return Err(Stop::OddExtension);
            }
            let size = u64::from_str_radix(from_utf8(&line[..digits]).unwrap(), 16).map_err(|_| Stop::Broken)?;
            if size == 0 {
                return self.fields().map(|_| body);
            }
            body.extend(self.take(size)?);
            require(self.line()?.is_empty())?;
        }
    }
}

/// `*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )` with nothing in quotes (section 7.1.1).
fn is_plain_extension(text: &[u8]) -> bool {
    let mut parts = text.split(|byte| *byte == b';').map(ows);
    let is_part = |part: &[u8]| part.splitn(2, |byte| *byte == b'=').all(|half| token(ows(half)).is_ok());
    text.is_empty() || text.contains(&b';') && parts.next() == Some(b"") && parts.all(is_part)
}
