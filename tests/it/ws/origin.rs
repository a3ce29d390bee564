//! Which pages may connect: RFC 6455, section 10.2.
//!
//! Covers: proto::ws::origin

use pushlab::proto::ws::origin::is_allowed;

#[test]
fn the_servers_own_origin() {
    let table = [
        ("http://example.com", "example.com", true),
        ("https://example.com", "example.com", true),
        ("http://EXAMPLE.com", "example.COM", true),
        ("http://example.com:80", "example.com", true),
        ("http://example.com", "example.com:80", true),
        ("https://example.com", "example.com:443", true),
        ("https://example.com:443", "example.com", true),
        ("http://example.com:8080", "example.com:8080", true),
        ("http://[::1]:8080", "[::1]:8080", true),
        ("http://[::1]", "[::1]", true),
        ("http://example.com:", "example.com", true),
        ("http://example.com:443", "example.com", false),
        ("https://example.com", "example.com:80", false),
        ("http://example.com:8080", "example.com:8081", false),
        ("http://example.com:8080", "example.com", false),
        ("http://example.com", "example.com:8080", false),
        ("http://evil.example", "example.com", false),
        ("http://example.com.evil", "example.com", false),
        ("http://sub.example.com", "example.com", false),
        ("http://user@example.com", "example.com", false),
        ("http://example.com/", "example.com", false),
        ("http://example.com http://evil.example", "example.com", false),
        ("http://example.com:x", "example.com", false),
        ("http://example.com:65616", "example.com", false), // 80 after an overflow
        ("ftp://example.com", "example.com", false),
        ("example.com", "example.com", false),
        ("http://", "", false),
        ("null", "null", false),
        ("", "", false),
    ];
    for (origin, host, allowed) in table {
        assert_eq!(is_allowed(Some(origin), Some(host), &[]), allowed, "{origin:?} at {host:?}");
    }
    assert!(!is_allowed(Some("http://example.com"), None, &[]));
    assert!(is_allowed(None, Some("example.com"), &[]));
    assert!(is_allowed(None, None, &[]));
}

#[test]
fn a_list() {
    let list = ["https://a.example".to_string(), "http://b.example:8080".into(), "null".into()];
    let table = [
        ("https://a.example", true),
        ("HTTPS://A.example:443", true),
        ("http://b.example:8080", true),
        ("null", true),
        ("http://a.example", false),
        ("https://a.example:8443", false),
        ("http://b.example", false),
        ("https://x.a.example", false),
        ("http://own.example", false),
        ("", false),
    ];
    for (origin, allowed) in table {
        assert_eq!(is_allowed(Some(origin), Some("own.example"), &list), allowed, "{origin:?}");
    }
    assert!(is_allowed(None, Some("own.example"), &list), "no browser");
    for origin in ["http://anything.example", "null", "nonsense"] {
        assert!(is_allowed(Some(origin), None, &["*".into()]), "{origin}");
    }
}
