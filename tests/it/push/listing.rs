//! Names of topics, alone and in lists.
//!
//! Covers: push::model::topic_name

use pushlab::push::{BadTopic, Topics};

#[test]
fn names_of_topics() {
    let longest = "x".repeat(64);
    for name in ["a", "news.sport_1-x", "A9", "..", &longest, &format!("{longest}.presence")] {
        assert!(Topics::parse(name, 1).is_ok(), "{name}");
    }
    for name in ["", " ", "a b", "ä", "a/b", "a%20b", "a*", "a\n", "a\0", &"x".repeat(65), ".presence"] {
        assert_eq!(Topics::parse(name, 1), Err(BadTopic::Name), "{name:?}");
    }
}

#[test]
fn lists_of_topics() {
    let names = |list: &str| Topics::parse(list, 3).map(|topics| topics.names().map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(names("b,a,c").unwrap(), ["b", "a", "c"]);
    assert_eq!(names("a,b,a").unwrap(), ["a", "b"]);
    assert_eq!(names("a,b,c,d"), Err(BadTopic::TooMany(3)));
    for list in [",", "a,", ",a", "a,,b", "a, b"] {
        assert_eq!(names(list), Err(BadTopic::Name), "{list}");
    }
    assert_eq!(Topics::parse("b,a", 2).unwrap().to_string(), "b,a");
}
