//! The paths of an example as one table.
//!
//! Owns the answers that follow from the table: OPTIONS and preflights, 404, 405, 403 for a page
//! whose origin may not act, and the files that all pages load. Leaves to the example what an
//! endpoint answers.

use pushlab::{Method, Reply, Request, Response};

use super::asset;

/// The methods of an endpoint that only reads, as `Allow` lists them.
pub(crate) const READ: &str = "GET, HEAD, OPTIONS";
/// The methods of an endpoint that changes something, as `Allow` lists them.
#[allow(dead_code, reason = "not every example has something to change")]
pub(crate) const ACT: &str = "POST, OPTIONS";

/// A path, its methods as `Allow` lists them, and its endpoint. `{}` in a path stands for one
/// segment that is not empty.
pub(crate) type Route<E> = (&'static str, &'static str, E);

/// Finds the endpoint of a request, and the segment that `{}` stands for. `None` if this function
/// has already sent the answer.
pub(crate) fn route<'q, 'r, E: Copy>(routes: &[Route<E>], request: &'q Request<'_>, reply: Reply<'r>) -> Option<(E, &'q str, Reply<'r>)> {
    let (path, method) = (request.path(), request.method());
    let found = routes.iter().find_map(|(pattern, methods, endpoint)| Some((*methods, *endpoint, part_of(pattern, path)?)));
    let file = if found.is_some() { None } else { asset(path) };
    let methods = match (found, &file) {
        (Some((methods, ..)), _) => methods,
        (None, Some(_)) => READ,
        (None, None) => {
            reply.send(Response::status(404));
            return None;
        }
    };
    let response = if method == Method::Options {
        request.options(methods)
    } else if !method.is_safe() && !request.origin().may_act() {
        // Without this check, a page of any site could act here: a browser sends a plain POST
        // without a preflight.
        request.cors().dress(Response::text("pages of this origin may not do this here\n").with_status(403))
    } else if !methods.split(", ").any(|allowed| allowed == method.as_str()) {
        request.cors().dress(Response::method_not_allowed(methods))
    } else if let Some((_, endpoint, part)) = found {
        return Some((endpoint, part, reply));
    } else {
        request.cors().dress(file.unwrap_or_else(|| Response::status(404)))
    };
    reply.send(response);
    None
}

/// The segment of the path that `{}` of the pattern stands for. Empty if the pattern has no `{}`.
/// `None` if the path does not match.
fn part_of<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    let Some((before, after)) = pattern.split_once("{}") else { return (pattern == path).then_some("") };
    let part = path.strip_prefix(before)?.strip_suffix(after)?;
    (!part.is_empty() && !part.contains('/')).then_some(part)
}

#[cfg(test)]
mod tests {
    use super::part_of;

    #[test]
    fn a_part_is_one_and_not_empty() {
        for (pattern, path, part) in [
            ("/", "/", Some("")),
            ("/", "/x", None),
            ("/me", "/me", Some("")),
            ("/me", "/me/", None),
            ("/login/{}", "/login/a", Some("a")),
            ("/login/{}", "/login/", None),
            ("/login/{}", "/login", None),
            ("/login/{}", "/login/a/b", None),
            ("/login/{}/scan", "/login/a/scan", Some("a")),
            ("/login/{}/scan", "/login//scan", None),
            ("/login/{}/scan", "/login/scan", None),
            ("/login/{}/scan", "/login/a/b/scan", None),
        ] {
            assert_eq!(part_of(pattern, path), part, "{pattern} {path}");
        }
    }
}
